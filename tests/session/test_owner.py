"""One owner of a run: processes, threads and kills; nothing is lost, and the second is told of the first."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from dhaps_core.answers.questions import label_oracle
from dhaps_core.hashing.training import Cancelled
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.errors import RunInUse
from dhaps_core.session.folder import RunFolder
from tests.given import TINY, played, tiny_items, training

ROOT = Path(__file__).parents[2]
PAIRS = 8


@pytest.fixture(scope="module")
def items():
    return tiny_items()


def rounds_of(folder):
    return [row["round"] for row in json.loads((folder / "metrics.json").read_text())["rounds"]]


def rush(barrier, folders, refused):
    """Two rounds in each folder, begun at the same moment as another process does."""
    warnings.simplefilter("error")
    items = tiny_items()
    for folder in folders:
        barrier.wait(60)
        try:
            session = ActiveSession(folder, items, TINY)
            for _ in range(2):
                session.run_round(label_oracle(items))
        except RunInUse as error:
            refused.put(str(error))
    barrier.wait(60)


@pytest.mark.slow
def test_two_processes_in_one_folder_leave_a_run_that_goes_on(tmp_path, items):
    spawn = multiprocessing.get_context("spawn")
    folders = [tmp_path / str(i) for i in range(PAIRS)]
    barrier, refused = spawn.Barrier(2), spawn.Queue()
    both = [spawn.Process(target=rush, args=(barrier, folders, refused)) for _ in range(2)]
    for process in both:
        process.start()
    told = []
    for process in both:
        process.join(120)
        assert process.exitcode == 0
    while not refused.empty():
        told.append(refused.get())
    assert all("owner at a time" in one or "finished it meanwhile" in one for one in told)
    for folder in folders:
        numbers = rounds_of(folder)
        assert numbers == list(range(len(numbers)))
        assert 2 <= len(numbers) <= 4
        assert len(played(folder, items, len(numbers) + 1).propose().pairs) == 3


def test_the_second_of_two_trainings_is_refused_by_name_of_the_first(tmp_path, items, monkeypatch):
    monkeypatch.setattr("dhaps_core.session.folder.PATIENCE", 0.05)
    first, second = played(tmp_path, items, 2), ActiveSession(tmp_path, items)
    sentence = (
        rf"process {os.getpid()} on .+ \(this one: .+\) trains round 2 since .+ Wait for it, or stop it"
    )
    with training(first):
        for change in (
            second.propose,
            lambda: second.train(partial=True),
            lambda: second.export(tmp_path / "out"),
        ):
            with pytest.raises(RunInUse, match=sentence):
                change()
        assert not (tmp_path / "out").exists()
        assert ActiveSession(tmp_path, items).round == 2  # looking and opening are free
    assert rounds_of(tmp_path) == [0, 1, 2]
    assert second.train(partial=True)["round"] == 3


def test_a_round_that_somebody_else_has_finished_is_not_trained_again(tmp_path, items):
    session = played(tmp_path, items, 1)
    rival = ActiveSession(tmp_path, items)
    weights = tmp_path / "round-001" / "weights.safetensors"

    def overtaken(step, *_):  # as on a disk without locks
        if step == 1:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(RunFolder, "owned", lambda *_, **__: threading.Lock())
                rival.run_round(label_oracle(items))
        return False

    with pytest.raises(
        RunInUse, match=r"round 1 of .+ must be the one in progress; somebody else has finished"
    ):
        session.train(progress=overtaken, partial=True)
    kept = weights.read_bytes()
    assert rounds_of(tmp_path) == [0, 1]
    assert session.history[1]["items_labelled"] == 6
    assert session.run_round(label_oracle(items))["round"] == 2
    assert weights.read_bytes() == kept


def test_an_answer_during_a_training_counts_in_the_next_round(tmp_path, items):
    session, oracle = played(tmp_path, items, 1), label_oracle(items)
    question = session.questions()[0]

    def answer(step, *_):
        if step == 1:
            session.answer(question, oracle(question), who="anna", seconds=1.0)
        return False

    assert session.train(progress=answer, partial=True)["items_labelled"] == 0
    assert session.train(partial=True)["items_labelled"] == 1


def test_a_cancelled_or_failed_training_lets_go_of_the_run(tmp_path, items):
    session = played(tmp_path, items, 1)
    with pytest.raises(Cancelled):
        session.train(progress=lambda *_: True, partial=True)
    with pytest.raises(ZeroDivisionError):
        session.train(progress=lambda *_: 1 // 0, partial=True)
    assert played(tmp_path, items, 3).round == 3


KILLED = """
import sys
from tests.given import *
session = played(sys.argv[1], tiny_items(), 2)
def progress(step, steps, loss):
    print("training", flush=True)
    sys.stdin.read()
session.train(progress=progress, partial=True)
"""


def test_a_killed_owner_lets_go_and_its_half_written_files_are_removed(tmp_path, items):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == b"training\n"
        other = ActiveSession(tmp_path, items)
        with pytest.raises(RunInUse, match=f"process {process.pid} on .* trains round 2 since"):
            other.run_round(label_oracle(items))
        half = tmp_path / "round-002" / f"codes.npy.{process.pid}-0123abcd.new"
        half.parent.mkdir(exist_ok=True)
        half.write_bytes(b"half")
        played(tmp_path, items, 2)
        assert half.exists()  # its writer lives
        process.send_signal(signal.SIGKILL)
    assert played(tmp_path, items, 3).round == 3
    assert not list(tmp_path.rglob("*.new"))
    assert rounds_of(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize("content", [None, "", "[1]", '{"process": 7}', "\x00" * 9])
def test_a_holder_who_cannot_be_named_is_refused_all_the_same(tmp_path, content):
    held, done = threading.Event(), threading.Event()

    def hold():
        with RunFolder(tmp_path).owned("trains round 1"):
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    path = tmp_path / "owner.json"
    path.unlink() if content is None else path.write_text(content)
    with (
        pytest.raises(RunInUse, match="another process is at work in it"),
        RunFolder(tmp_path).owned("x", patience=0.0),
    ):
        pass
    done.set()
    thread.join(30)
