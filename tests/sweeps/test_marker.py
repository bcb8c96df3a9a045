import os
from types import SimpleNamespace

import pytest

from dhaps_core.json_files import DamagedFileError
from dhaps_core.sweeps.marker import finish, last_cell, prepare, read_finished, read_marker, watch


class Events:
    """What a kernel gives: callbacks after each cell."""

    def register(self, name, callback):
        assert name == "post_run_cell"
        self.callback = callback

    def ran(self, source, *, success=True):
        self.callback(SimpleNamespace(info=SimpleNamespace(raw_cell=source), success=success))


@pytest.fixture
def folder(tmp_path):
    prepare(tmp_path, {"run": "ab"})
    (tmp_path / "metrics.json").write_text("{}")
    return tmp_path


def test_the_marker_follows_the_last_cell_only(folder):
    cells = ["import x", "show()", "save()", "show()", "  \n"]
    last, times = last_cell(cells)
    events = Events()
    watch(events, os.fsencode(folder), last, times)
    for source in cells[:3]:  # the second has the text of the last
        events.ran(source)
    assert read_marker(folder) is None
    events.ran("show()")
    marker = read_marker(folder)
    assert (marker["run"], marker["state"]) == ("ab", "finished")
    assert 0 <= marker["seconds"] < 60
    assert finish(folder) == marker  # written once


def test_a_failing_last_cell_writes_none(folder):
    events = Events()
    watch(events, os.fsencode(folder), *last_cell(["save()"]))
    events.ran("save()", success=False)
    assert read_marker(folder) is None


def test_no_marker_without_metrics(folder):
    (folder / "metrics.json").write_text("[1]")
    with pytest.raises(DamagedFileError, match="must hold one JSON object; got a list"):
        finish(folder)
    (folder / "metrics.json").unlink()
    with pytest.raises(FileNotFoundError, match="must write metrics"):
        finish(folder)
    assert read_marker(folder) is None


@pytest.mark.parametrize("other", ["{}", '{"mAP": 0.9}', '{"rounds": []}'])
def test_metrics_that_are_not_those_of_the_finish_are_noticed(folder, other):
    (folder / "metrics.json").write_text('{"mAP": 0.5}')
    finish(folder)
    assert read_finished(folder)[1] == {"mAP": 0.5}
    (folder / "metrics.json").write_text(other)
    with pytest.raises(DamagedFileError, match="must hold what the run finished with"):
        read_finished(folder)
