import json
from types import SimpleNamespace

import pytest

from dhaps_core.run_marker import finish, last_cell, prepare, read_marker, replace_text, watch


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
    watch(events, str(folder), last, times)
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
    watch(events, str(folder), *last_cell(["save()"]))
    events.ran("save()", success=False)
    assert read_marker(folder) is None


def test_no_marker_without_metrics(folder):
    (folder / "metrics.json").write_text("[1]")
    with pytest.raises(TypeError, match="must hold one JSON object"):
        finish(folder)
    (folder / "metrics.json").unlink()
    with pytest.raises(FileNotFoundError, match="must write metrics"):
        finish(folder)
    assert read_marker(folder) is None


def test_files_are_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "half of it \udcff")
    assert path.read_text() == "old"
    replace_text(path, json.dumps("new"))
    assert path.read_text() == '"new"'
