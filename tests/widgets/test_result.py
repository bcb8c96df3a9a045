"""The result folder of a notebook is that of the run in use, whatever runs beside it."""

from dataclasses import replace

from dhaps_core.answers.questions import label_oracle
from dhaps_core.find.loaded import load
from tests.given import TINY, tiny_items
from widgets.run_names import run_name
from widgets.workbench import Workbench


def test_the_result_follows_the_run_in_use_and_not_the_one_for_comparison(tmp_path):
    items = tiny_items()
    bench = Workbench(tmp_path / "runs", items, TINY, result=tmp_path / "result")
    assert not (tmp_path / "result").exists()
    for number in range(2):
        assert bench.run_round(source=label_oracle(items), baseline=True)
        bench.job.join(60)
        assert bench.job.error is None
        about = load(tmp_path / "result").about
        assert (about["run"], about["round"]) == (run_name(TINY), number)
    assert "random/run" in bench.runs()  # it was run, and left the result alone
    other = replace(TINY, bits=16)
    assert bench.use(other)
    assert load(tmp_path / "result").about["run"] == run_name(TINY)  # the other has no codes yet
    bench.session.train()
    assert load(tmp_path / "result").about["run"] == run_name(other)
    assert bench.use(TINY)
    assert load(tmp_path / "result").about["run"] == run_name(TINY)
    assert load(tmp_path / "result").index.bits == 8
