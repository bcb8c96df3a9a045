import fcntl
import sys

import pytest

from dhaps_core.sweeps.grid_text import GridError
from tests.given import write_grid
from widgets.sweep.panel import SweepPanel
from widgets.sweep.state import Standing, SweepProcess

GRID = "every: {seed: [0, 1], log: ./log}\n"


@pytest.fixture
def process(tmp_path):
    return SweepProcess(write_grid(tmp_path, GRID), tmp_path / "out", workers=1)


def test_before_the_start(process):
    assert process.standing() == Standing(done=0, failed=0, total=2, running=False, line="not started")
    assert process.command[-2:] == ["--workers", "1"]
    assert process.wait() is None
    process.stop()  # nothing to stop


def test_a_bad_grid_is_refused_at_once(tmp_path):
    with pytest.raises(GridError, match="Did you mean seed"):
        SweepProcess(write_grid(tmp_path, "every: {sed: 0}\n"), tmp_path / "out")


def test_the_panel_shows_where_it_stands(process):
    process.out.mkdir()
    (process.out / process.grid.cells[0].run).mkdir()
    (process.out / process.grid.cells[0].run / "run.json").write_text('{"state": "finished"}')
    (process.out / process.grid.cells[0].run / "metrics.json").write_text("{}")
    process.log.write_text(
        "[2/2 (1 failed)] 0:00:01 gone, done | FAILED seed=1: ValueError: <b>\n    see x.ipynb\n"
    )
    panel = SweepPanel(process)
    assert (panel.bar.value, panel.bar.max, panel.bar.bar_style) == (1, 2, "danger")
    assert panel.count.value == "1 of 2 finished, 1 failed"
    assert "ValueError: &lt;b&gt;" in panel.log.value
    assert (panel.start.disabled, panel.stop.disabled) == (False, True)


def test_a_sweep_at_work_is_followed_whoever_started_it(process):
    process.out.mkdir()
    with (process.out / "sweep.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert process.running
        assert process.start() is False
    assert not process.running


def test_a_grid_edited_since_is_read_anew_before_a_start_and_a_bad_one_is_shown(process, tmp_path):
    panel = SweepPanel(process)
    process.command = [sys.executable, "-c", "pass"]
    write_grid(tmp_path, "every: {seed: [0, 1, 2], log: ./log}\n")
    panel.start.click()
    assert process.wait(60) == 0
    panel.refresh()
    assert (panel.bar.max, process.standing().total) == (3, 3)
    write_grid(tmp_path, "every: {sed: 0}\n")
    panel.start.click()
    assert "Did you mean seed?" in panel.log.value


def test_a_damaged_run_does_not_count_as_finished(process):
    for cell, content in zip(process.grid.cells, ("", '{"state": "finished"}'), strict=True):
        (process.out / cell.run).mkdir(parents=True)
        (process.out / cell.run / "run.json").write_text(content)
    assert process.standing().done == 1


def test_a_sweep_is_asked_to_stop_by_its_process_and_nobody_else_is(process, monkeypatch):
    asked = []
    monkeypatch.setattr("widgets.sweep.state.os.kill", lambda pid, signal: asked.append(pid))
    process.out.mkdir()
    with (process.out / "sweep.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process.stop()  # it has not said yet which process it is
        assert asked == []
        lock.write("4711\n")
        lock.flush()
        process.stop()
    process.stop()  # the lock is left, the sweep is not
    assert asked == [4711]


@pytest.mark.slow
def test_start_stop_and_go_on(process, tmp_path):
    process.command = [sys.executable, "-m", "dhaps_core.sweeps", str(process.grid.path)]
    process.command += ["--out", str(process.out), "--workers", "1"]
    panel = SweepPanel(process)
    panel.start.click()
    assert not process.start()
    assert process.wait(60) == 0, process.text()
    assert process.standing() == Standing(2, 0, 2, False, process.text().splitlines()[-1])
    assert (tmp_path / "log").read_text().count("end") == 2
