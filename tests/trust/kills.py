"""kill -9 of a session while it opens, chooses, answers, trains, saves and keeps its result."""

import os
import signal
import tempfile
import time
from functools import cache
from pathlib import Path

from dhaps_core.answers.csv_file import read_csv
from dhaps_core.answers.questions import label_oracle
from dhaps_core.find.loaded import load
from dhaps_core.session.active import ActiveSession

from .case import Attack, Case, told_by_a_child, wait
from .given import ROUNDS, SETTINGS, asked_one_by_one, leftovers, numbers, tiny_items
from .killing import Points, kill_at_call

__all__ = ["ATTACK"]

KINDS = tuple(SETTINGS)


class Work:
    """A whole run, one answer at a time, with a result after each round; it says what it is about.

    Args:
        folder: of the run and its result.
        question: ``classes`` or ``pairs``.
        report: takes the id of each question whose answer has returned.
    """

    def __init__(self, folder: Path, question: str, report=lambda text: None) -> None:
        self.folder, self.question, self.report = folder, question, report
        self.stage = "opening"

    def play(self) -> ActiveSession:
        oracle = label_oracle(tiny_items())
        self.stage = "opening"
        kept = {"result": self.folder / "result"}
        session = ActiveSession(self.folder / "run", tiny_items(), SETTINGS[self.question], **kept)
        while session.round < ROUNDS:
            self.stage = "choosing"
            for question in asked_one_by_one(session):
                self.stage = "answering"
                session.answer(question, oracle(question), who="oracle", seconds=0.0)
                self.report(question.id + "\n")
            self.stage = "training and keeping its result"
            session.train()
        return session


def exported(folder: Path) -> dict:
    """What a result holds."""
    found = load(folder)
    answers = [(one.kind, one.keys, one.value) for one in read_csv(folder / "answers.csv")]
    return {"keys": found.index.keys, "codes": found.index.packed().tolist(), "answers": answers}


@cache
def undisturbed(question: str) -> dict:
    """What a run that nobody disturbs does: its rows, its questions by round, its export, its points."""
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), question)
        session = work.play()
        asked: dict[int, list[str]] = {}
        for answer in session.store.answers():
            asked.setdefault(int(str(answer.question).split(".")[0]), []).append(str(answer.question))
        return {
            "rows": [numbers(row) for row in session.history],
            "asked": asked,
            "codes": session.codes(),
            "export": exported(Path(folder) / "result"),
            "next": [one.id for one in session.questions()],
            "stages": _counted(question, by_call=False),
            "calls": _counted(question, by_call=True),
            "seconds": _seconds(question),
        }


def _counted(question: str, *, by_call: bool):
    """Stages of the points that a run passes, or the number of its calls: found in a process of its own."""

    def count():
        with tempfile.TemporaryDirectory() as folder:
            work = Work(Path(folder), question)
            calls = kill_at_call(None) if by_call else None
            points = None if by_call else Points(None, lambda: work.stage)
            work.play()
            return calls() if calls is not None else list(points.stages)

    return told_by_a_child(count)


def _seconds(question: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        Work(Path(folder), question).play()
        return time.perf_counter() - started


def prepare() -> None:
    for question in KINDS:
        undisturbed(question)


def cases(short: bool) -> list[str]:
    names = []
    for question in KINDS:
        points = range(len(undisturbed(question)["stages"]))
        names += [f"{question}-point-{point}" for point in points[:: 41 if short else 1]]
        names += [f"{question}-moment-{i}" for i in range(2 if short else 60)]
        names += [f"{question}-delay-{i}" for i in range(1 if short else 20)]
    return names


def play(case: Case) -> None:
    question, how, number = case.name.split("-")
    known, work = undisturbed(question), Work(case.folder, question)
    acknowledged: list[str] = []
    draws = case.draws()
    for kill in range(1 if how == "point" else 4):
        if how == "point":
            at, stages = int(number), known["stages"]
            case.at(f"point {at} of {len(stages)}, {stages[at]}")
            killed = _killed(work, acknowledged, lambda at=at: Points(at, lambda: work.stage))
        elif how == "moment":
            at = draws.randrange(known["calls"])
            case.at(f"kill {kill + 1}, call {at} of {known['calls']}")
            killed = _killed(work, acknowledged, lambda at=at: kill_at_call(at))
        else:
            seconds = draws.uniform(0, known["seconds"])
            case.at(f"kill {kill + 1}, after {seconds:.3f} s")
            killed = _killed(work, acknowledged, lambda: None, seconds)
        case.tried += killed
        _reopened(case, known, question, acknowledged)
    session = work.play()
    case.require([numbers(row) for row in session.history] == known["rows"], "it ends with other numbers")
    case.require((session.codes() == known["codes"]).all(), "it ends with other codes")
    case.require(exported(case.folder / "result") == known["export"], "it exports something else")
    left = leftovers(case.folder)
    case.require(not left, f"leftovers for ever: {left[:3]}")


def _killed(work: Work, acknowledged: list[str], arm, seconds: float | None = None) -> bool:
    """Whether work in another process was killed before its end; what it acknowledged is taken down."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            work.report = lambda text: os.write(writer, text.encode())
            arm()
            work.play()
        finally:
            os._exit(0)
    os.close(writer)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    status = wait(pid, 30)
    with os.fdopen(reader) as pipe:
        acknowledged += pipe.read().splitlines()
    return status == -signal.SIGKILL


def _reopened(case: Case, known: dict, question: str, acknowledged: list[str]) -> None:
    """Check what a person meets who opens the run again; on a fork, so that this look changes nothing."""
    session = ActiveSession(case.folder / "run", tiny_items(), SETTINGS[question])
    rows = [numbers(row) for row in session.history]
    case.require([row["round"] for row in rows] == list(range(len(rows))), "rounds with gaps or repeats")
    case.require(rows == known["rows"][: len(rows)], "finished rounds have other numbers")
    stored = [answer.question for answer in session.store.answers()]
    lost = set(acknowledged) - set(stored)
    case.require(not lost, f"acknowledged answers are lost: {sorted(lost)}")
    case.require(len(stored) == len(set(stored)), "an answer is stored twice")
    if (case.folder / "result").exists() and list((case.folder / "result").glob("result.json")):
        kept = load(case.folder / "result")
        case.require(
            kept.about["round"] in (session.round - 1, session.round - 2), "its result is of another round"
        )
    if session.round:
        expected = known["asked"].get(session.round, known["next"])
        left = [name for name in expected if name not in stored]
        asked = [one.id for one in session.questions()]
        same = asked == left[: len(asked)] and bool(asked) == bool(left)  # of pairs only the next is known
        case.require(same, f"it asks {asked[:2]}, where {left[:2]} come next")
    session.store.close()


ATTACK = Attack(
    name="kills",
    promise="A kill -9 at any moment loses no acknowledged answer and no finished round; the run asks "
    "the same next question, ends with the same numbers, and leaves no temporary file",
    how="a run answers, trains, saves and keeps its result in a process that is killed before and after "
    "each change it makes to the disk (every file operation, every SQL statement), at its "
    "n-th function call, and by a clock, up to four times in one run; then it is reopened and "
    "played to its end",
    found="Before: nothing acknowledged was lost, but every kill inside a writer left its temporary "
    "file for ever (30 files after 150 kills), and exports were cut. Now one writer of whole "
    "files, a result that is replaced as a whole, and whoever opens the run removes what was left",
    unit="kills",
    cases=cases,
    play=play,
    share=4.0,
    prepare=prepare,
)
