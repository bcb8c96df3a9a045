"""The table that `make demo` prints."""

import json

import pytest

from dhaps_core.results.__main__ import main
from dhaps_core.results.runs import find_rounds
from dhaps_core.results.tables import round_table


def test_table_of_runs(tmp_path, capsys):
    rounds = [{"round": 0, "items_labelled": 0, "answers": 0, "mAP@all": 0.5, "P@100": 0.25}, {"round": 1}]
    for name in ("dhaps/seed-0", "random/seed-0"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "metrics.json").write_text(json.dumps({"settings": {}, "rounds": rounds}))
        (tmp_path / name / "settings.json").write_text("{}")
    (tmp_path / "metrics.json").write_text("{}")  # not a run
    (tmp_path / "00.ipynb").write_text("{}")
    (tmp_path / "precision.png").write_bytes(b"")
    assert list(find_rounds(tmp_path)) == ["dhaps/seed-0", "random/seed-0"]
    lines = round_table(find_rounds(tmp_path)).splitlines()
    assert lines[0].split() == ["run", "round", "items", "answers", "mAP", "P@100"]
    assert lines[1].split() == ["dhaps/seed-0", "0", "0", "0", "0.500", "0.250"]
    assert lines[2].split() == ["dhaps/seed-0", "1", "-", "-", "-", "-"]
    main([str(tmp_path)])
    out = capsys.readouterr().out
    assert f"plot: {tmp_path / 'precision.png'}" in out
    assert f"executed notebook: {tmp_path / '00.ipynb'}" in out
    with pytest.raises(FileNotFoundError, match="at least one finished run; got none"):
        find_rounds(tmp_path / "dhaps" / "seed-0" / "round-000")
