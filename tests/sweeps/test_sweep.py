"""Real clusters of two worker processes on the loopback address, disturbed in every way that ends one."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import dask
import pandas as pd
import psutil
import pytest

from dhaps_core.sweeps.cluster import SweepError, connect, gpu_ids, slots
from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.manifest import final_metrics
from dhaps_core.sweeps.progress import ProgressLines
from dhaps_core.sweeps.run import Job, run_cell
from dhaps_core.sweeps.sweep import main, sweep
from tests.given import write_grid, write_notebook

FINE = "blocks:\n  fine: {seed: [0, 1, 2, 3], log: ./log}\n"
SLOW = "blocks:\n  slow: {seed: [0, 1, 2, 3, 4], sleep: 1.0, log: ./log}\n"
WAIT = 120  # seconds at most


def hear_interrupts():
    """A shell has its background jobs ignore Ctrl-C, and their children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(grid, out, *options, **variables):
    """The command as a process of a group of its own."""
    command = [sys.executable, "-m", "dhaps_core.sweeps", str(grid), "--out", str(out), *options]
    environment = {**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "4s", **variables}
    return subprocess.Popen(
        command,
        preexec_fn=hear_interrupts,  # noqa: PLW1509  (there is one thread here)
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


def end(process):
    """Exit status and output."""
    output, _ = process.communicate(timeout=WAIT)
    return process.returncode, output


def lines(folder, kind):
    """Runs in the side file that started or ended."""
    return [line.split()[1] for line in (folder / "log").read_text().splitlines() if line.startswith(kind)]


def until(condition):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def kernels_parents(process):
    """Workers that have a kernel, youngest kernel last."""
    children = psutil.Process(process.pid).children(recursive=True)
    kernels = [child for child in children if any("ipykernel" in word for word in child.cmdline())]
    return [kernel.parent() for kernel in sorted(kernels, key=lambda one: one.create_time())]


def table(out, *, without=()):
    frame = pd.read_parquet(out / "table.parquet")
    assert (out / "table.csv").read_text() == frame.to_csv(index=False, lineterminator="\n")
    return frame.drop(columns=list(without))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Table of the slow grid from one worker that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    status, output = end(
        start(write_grid(folder, SLOW.replace("1.0", "0.0")), folder / "out", "--workers", "1")
    )
    assert status == 0, output
    return table(folder / "out")


def assert_same(out, undisturbed):
    """Same metrics bit for bit; ``sleep`` differs, and the run's name with it."""
    columns = ["run", "sleep", "notebook"]
    pd.testing.assert_frame_equal(
        table(out, without=columns), undisturbed.drop(columns=columns), check_exact=True
    )


def job_of(notebook, folder, given, *, threads=1):
    """A job that executes the notebook itself."""
    return Job(folder, notebook, notebook, given, threads, timeout=60, devices=(), record={})


def quiet(command):
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def cluster(folder):
    """A scheduler and two workers started by hand, and its address."""
    address_file = folder / f"scheduler-{time.monotonic_ns()}.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(address_file)]
    scheduler = quiet(command)
    until(address_file.exists)
    address = json.loads(address_file.read_text())["address"]
    command = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-dashboard",
    ]
    command += ["--host", "127.0.0.1", "--local-directory", str(folder)]
    workers = [quiet(command) for _ in range(2)]
    try:
        yield address, scheduler
    finally:
        for process in (scheduler, *workers):
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_failing_run_is_reported_and_the_others_go_on(tmp_path):
    bad = "  bad: {seed: 9, fail: true, log: ./log}\nresources: {GPU: 1}\n"
    grid, out = write_grid(tmp_path, FINE + bad), tmp_path / "out"
    gpus = {"CUDA_VISIBLE_DEVICES": "5,7"}
    status, output = end(start(grid, out, "--workers", "2", **gpus))
    assert status == 1
    frame = table(out)
    assert list(frame["state"]) == ["finished"] * 4 + ["failed"]
    failed = frame.iloc[-1]
    assert failed["error"] == "ValueError: as asked"
    assert str(out / failed["notebook"]) in output
    assert "as asked" in (out / failed["notebook"]).read_text()
    assert list(frame["items"][:4]) == [20] * 4
    assert "seconds" not in frame.columns

    manifest = json.loads((out / "manifest.json").read_text())
    assert [run["state"] for run in manifest["runs"]] == list(frame["state"])
    run = manifest["runs"][1]
    assert (run["seed"], run["protocol"], run["fingerprint"], run["starts"]) == (1, "made", "ab12", 1)
    assert {run.get("gpu") for run in manifest["runs"]} == {"5", "7", None}  # one for each worker
    assert manifest["packages"]["papermill"] == run["versions"]["papermill"]

    # Again: nothing but the failed run is done.
    status, output = end(start(grid, out, "--workers", "1", **gpus))
    assert status == 1
    assert "4 of them finished before" in output
    assert sorted(lines(tmp_path, "end")) == sorted(frame["run"][:4])
    assert lines(tmp_path, "start").count(failed["run"]) == 2
    pd.testing.assert_frame_equal(table(out), frame, check_exact=True)


@pytest.mark.slow
def test_killed_worker(tmp_path, undisturbed):
    process = start(write_grid(tmp_path, SLOW), tmp_path / "out", "--workers", "2")
    until(lambda: len(lines(tmp_path, "start")) == 2)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    listening = [
        connection.laddr.ip
        for member in family
        for connection in member.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}
    kernels_parents(process)[0].kill()
    status, output = end(process)
    assert status == 0, output
    # The killed one was started twice, unless its kernel, which lives on for a second, came to the end.
    assert len(lines(tmp_path, "start")) in (5, 6)
    assert len(lines(tmp_path, "end")) == len(set(lines(tmp_path, "end"))) == 5
    assert_same(tmp_path / "out", undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_driver(tmp_path, undisturbed, how):
    grid, out = write_grid(tmp_path, SLOW), tmp_path / "out"
    process = start(grid, out, "--workers", "2")
    until(lambda: len(lines(tmp_path, "start")) == 4)  # two are finished, two in progress, one is open
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, how) if how == signal.SIGINT else process.kill()  # Ctrl-C goes to the whole group
    status, output = end(process)
    if how == signal.SIGINT:
        assert status == 130
        assert "the same command goes on" in output
        assert "Traceback" not in output
        assert "open" in set(table(out)["state"])
    again = start(grid, out, "--workers", "2")
    status, output = end(again)
    assert status == 0, output
    assert not any(member.is_running() for member in family)
    assert len(lines(tmp_path, "end")) == len(set(lines(tmp_path, "end"))) == 5
    assert_same(out, undisturbed)


@pytest.mark.slow
def test_killed_scheduler(tmp_path, undisturbed):
    grid, out = write_grid(tmp_path, SLOW), tmp_path / "out"
    with cluster(tmp_path) as (address, scheduler):
        process = start(grid, out, "--scheduler", address)
        until(lambda: len(lines(tmp_path, "start")) == 4)
        scheduler.kill()
        with cluster(tmp_path) as (another, _):
            status, output = end(process)
            assert status == 1
            assert "the scheduler must stay reachable; it is gone" in output
            assert "Traceback" not in output
            status, output = end(start(grid, out, "--scheduler", another))
    assert status == 0, output
    assert len(lines(tmp_path, "end")) == len(set(lines(tmp_path, "end"))) == 5
    assert_same(out, undisturbed)


def test_a_run_is_done_once(tmp_path):
    grid = read_grid(write_grid(tmp_path, FINE.replace("[0, 1, 2, 3]", "0")))
    cell = grid.cells[0]
    folder = tmp_path / "out" / cell.run
    given = {**cell.given, "folder": str(folder), "interactive": False}
    job = job_of(grid.notebook.path, folder, given, threads=3)
    folder.mkdir(parents=True)
    (folder / "run.json.99999999-0123abcd.new").write_text("of a killed start")
    first = run_cell(job)
    assert first["state"] == "finished", first
    assert json.loads((folder / "metrics.json").read_text())["threads"] == 3
    assert run_cell(job) == first
    assert len(lines(tmp_path, "end")) == 1
    assert len(lines(tmp_path, "start")) == 1
    executed = json.loads((folder / "tiny.ipynb").read_text())
    assert "widgets" not in executed["metadata"]
    assert not list(folder.glob("*.new"))
    assert [cell["metadata"]["papermill"]["status"] for cell in executed["cells"]] == ["completed"] * 3
    # It was the kernel that wrote the marker: the worker saved the notebook only then.
    assert (folder / "run.json").stat().st_mtime_ns < (folder / "tiny.ipynb").stat().st_mtime_ns


def test_a_notebook_without_metrics_has_failed(tmp_path):
    grid = write_grid(tmp_path, FINE)
    write_notebook(tmp_path / "tiny.ipynb", code="1 + 1")
    job = job_of(grid.parent / "tiny.ipynb", tmp_path / "x", {"seed": 1})
    assert run_cell(job)["error"].startswith("FileNotFoundError: the notebook must write metrics.json")
    assert not (tmp_path / "x" / "run.json").exists()


@pytest.mark.parametrize("name", ["lock", "starts.log", "kernel.log", "tiny.ipynb", "run.json.new", ""])
def test_a_strangers_links_lead_a_run_nowhere(tmp_path, name):
    grid, outside, folder = write_grid(tmp_path, FINE), tmp_path / "outside", tmp_path / "out" / "x"
    outside.mkdir() if not name else outside.write_text("mine")
    (folder if name else folder.parent).mkdir(parents=True)
    (folder / name).symlink_to(outside)
    outcome = run_cell(job_of(grid.parent / "tiny.ipynb", folder, {"seed": "no such"}))
    assert outcome["state"] == "failed"
    assert outside.read_text() == "mine" if name else not list(outside.iterdir())


@pytest.mark.parametrize("name", ["sweep.lock", "notebooks", "table.csv", "manifest.json"])
def test_a_strangers_links_lead_a_sweep_nowhere(tmp_path, name):
    grid, outside, out = (
        read_grid(write_grid(tmp_path, "every: {seed: 0}\n")),
        tmp_path / "outside",
        tmp_path / "out",
    )
    done = out / grid.cells[0].run
    done.mkdir(parents=True)
    (done / "run.json").write_text('{"state": "finished"}')
    (done / "metrics.json").write_text("{}")
    outside.mkdir() if name == "notebooks" else outside.write_text("mine")
    (out / name).symlink_to(outside)
    try:
        sweep(grid, out, report=lambda _: None)
    except OSError as error:
        assert str(out / name) in str(error)  # noqa: PT017
    assert not list(outside.iterdir()) if name == "notebooks" else outside.read_text() == "mine"


def test_what_goes_wrong_around_a_notebook_is_its_outcome(tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    job = job_of(tmp_path / "none.ipynb", blocked / "x", {})
    assert run_cell(job) == {
        "run": "x",
        "state": "failed",
        "error": f"NotADirectoryError: [Errno 20] Not a directory: '{blocked}/x'",
    }


def test_a_second_sweep_of_a_folder_is_refused(tmp_path):
    import fcntl

    grid = read_grid(write_grid(tmp_path, FINE))
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / "sweep.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SweepError, match="one sweep at a time"):
            sweep(grid, tmp_path / "out")


def test_a_full_disk_stops_before_the_first_run(tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    grid, out = read_grid(write_grid(tmp_path, FINE)), tmp_path / "out"
    with pytest.raises(SweepError, match="must have 64 MiB free for 4 runs; got 0 MiB"):
        sweep(grid, out, report=lambda _: None)
    assert not (tmp_path / "log").read_text()
    # What finished runs took is what the others are expected to take.
    (out / "done").mkdir()
    (out / "done" / "run.json").write_bytes(b" " * (40 << 20))
    with pytest.raises(SweepError, match="must have 160 MiB free for 4 runs; got 0 MiB"):
        sweep(grid, out, report=lambda _: None)


def test_exit_status_of_a_bad_grid(tmp_path, capsys):
    assert main([str(write_grid(tmp_path, "every: {sed: 1}\n")), "--out", str(tmp_path / "out")]) == 2
    assert "Did you mean seed?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert main([str(write_grid(tmp_path, FINE)), "--out", str(tmp_path / "out")]) == 1
    assert f"got {tmp_path}/out, where something else is. Give another." in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def test_no_scheduler_at_the_address():
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "500ms"}),
        pytest.raises(SweepError, match="there must be a Dask scheduler at"),
        connect("tcp://127.0.0.1:9"),
    ):
        pass


def test_a_scheduler_that_asks_for_a_certificate_needs_dasks_configuration():
    message = r"must name the certificates that tls://127\.0\.0\.1:9 asks for; got none"
    with pytest.raises(SweepError, match=message), connect("tls://127.0.0.1:9"):
        pass


def test_gpus_are_shared_out_one_for_each_worker(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert gpu_ids(2) == ("2", "3")
    with pytest.raises(SweepError, match="workers must be at most the number of GPUs, 2; got 3"):
        gpu_ids(3)


def test_slots_count_threads_and_resources():
    workers = {"a": {"nthreads": 1, "resources": {"GPU": 1}}, "b": {"nthreads": 4, "resources": {"GPU": 2}}}
    client = SimpleNamespace(status="running", scheduler_info=lambda n_workers: {"workers": workers})
    assert slots(client, {}) == 5
    assert slots(client, {"GPU": 1.0}) == 3
    assert slots(client, {"GPU": 2.0}) == 1
    assert slots(client, {"TPU": 1.0}) == 0
    client.status = "connecting"
    assert slots(client, {}) is None


def test_final_metrics_are_the_last_rounds_numbers():
    rounds = [{"items": 0, "losses": {"a": 1.0}}, {"items": 20, "mAP": 0.5, "train_seconds": 3.0}]
    metrics = {"mAP": 0.1, "protocol": "x", "seconds": 3.0, "ok": True, "rounds": rounds}
    assert final_metrics(metrics) == {"mAP": 0.5, "ok": True, "items": 20}
    assert final_metrics({"rounds": []}) == {}


def test_progress_lines(tmp_path):
    said = []
    progress = ProgressLines(3, 1, said.append)
    progress.tick(2, 2)
    progress.ended("a", {"state": "finished", "seconds": 30.0}, tmp_path)
    progress.ended("b", {"state": "failed", "error": "E: no"}, tmp_path / "n.ipynb")
    assert said == [
        "[2/3] 0:00:00 gone, about 0:00:15 left | a: 30 s",
        f"[3/3 (1 failed)] 0:00:00 gone, done | FAILED b: E: no\n    see {tmp_path}/n.ipynb",
    ]
