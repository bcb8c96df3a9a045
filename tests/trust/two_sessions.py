"""Two who work in one run folder at once: two processes, or a thread in the background and a cell."""

import os
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

from dhaps_core.answers.questions import label_oracle
from dhaps_core.session.active import ActiveSession

from .case import Attack, Case, wait
from .given import ROUNDS, SETTINGS, advance, leftovers, numbers, tiny_items, undocumented

__all__ = ["ATTACK"]

PATIENCE = 20.0


def cases(short: bool) -> list[str]:
    hows = ("oracle", "one-by-one", "new-folder", "thread", "thread-train")
    return [
        f"{how}-{question}-{i}" for i in range(1 if short else 25) for how in hows for question in SETTINGS
    ]


def play(case: Case) -> None:
    how, question = case.name.rsplit("-", 2)[:2]
    folder, draws = case.folder / "run", case.draws()
    if how != "new-folder":
        ActiveSession(folder, tiny_items(), SETTINGS[question]).train()
    said = (
        _threads(case, question, how) if how.startswith("thread") else _processes(case, question, how, draws)
    )
    case.tried += 1
    case.require(len(said) < 2, f"both were refused: {said}")
    known = alone(question)
    session = ActiveSession(folder, tiny_items(), SETTINGS[question])
    rows = [numbers(row) for row in session.history]
    rounds = [row["round"] for row in rows]
    case.require(rounds == list(range(len(rows))), f"rounds {rounds} in metrics.json")
    answers = [answer.question for answer in session.store.answers()]
    case.require(len(answers) == len(set(answers)), "a question is answered twice")
    alike = (lambda row: row) if how in ("oracle", "thread") else _counts
    expected = [alike(row) for row in known]
    got = [alike(row) for row in rows]
    case.require(got == expected[: len(rows)], f"finished rounds have other numbers: {got[-1]}")
    advance(session, ROUNDS)
    rows = [alike(numbers(row)) for row in session.history]
    case.require(rows == expected[: len(rows)], "it ends with other numbers")
    case.require(not (left := leftovers(folder)), f"leftovers: {left[:3]}")


@cache
def alone(question: str) -> list[dict]:
    """Rows of one session that nobody disturbs, with one round more than each of the two wants.

    Who finds the last round still to do, and is overtaken before asking for its questions, plays the next.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = ActiveSession(Path(folder), tiny_items(), SETTINGS[question])
        return [numbers(row) for row in advance(session, ROUNDS + 1).history]


def _counts(row: dict) -> dict:
    """What does not depend on the order in which two people gave the same answers."""
    return {name: row[name] for name in ("round", "answers", "items_labelled")}


def _processes(case: Case, question: str, how: str, draws) -> list[str]:
    """What each of two processes that work at once was refused with."""
    ready = [os.pipe(), os.pipe()]
    start_reader, start_writer = os.pipe()
    pauses = [draws.choice((0.0, 0.0, draws.uniform(0, 0.05))) for _ in range(2)]

    def work(me: int) -> None:
        os.close(start_writer)
        if how != "new-folder" and me == 0:  # one opens before the start, the other at it
            session = ActiveSession(case.folder / "run", tiny_items(), SETTINGS[question])
        os.read(start_reader, 1)
        time.sleep(pauses[me])
        try:
            if how == "new-folder" or me == 1:
                session = ActiveSession(case.folder / "run", tiny_items(), SETTINGS[question])
            oracle = label_oracle(tiny_items())
            if how == "oracle":
                while session.round < ROUNDS:
                    session.run_round(oracle)
            else:
                advance(session, ROUNDS)
        except Exception as error:
            text = undocumented(error) or f"refused: {error}"
            os.write(ready[me][1], text.encode())

    pids = [case.child(lambda me=me: work(me)) for me in range(2)]
    for _, writer in ready:
        os.close(writer)
    os.close(start_reader)
    time.sleep(0.02)
    os.close(start_writer)  # both read its end
    said = []
    for me, pid in enumerate(pids):
        case.require(wait(pid, PATIENCE) == 0, f"session {me} hangs or dies")
        with os.fdopen(ready[me][0], errors="replace") as pipe:
            text = pipe.read()
        if text:
            case.require(text.startswith("refused: "), f"one of two sessions gets: {text}")
            said.append(text)
    return said


def _threads(case: Case, question: str, how: str) -> list[str]:
    """As the stepper's button and a cell: one session, a thread that trains, and the same call beside it."""
    session = ActiveSession(case.folder / "run", tiny_items(), SETTINGS[question])
    session.answer_all(label_oracle(tiny_items()))
    begun, said, raw = threading.Event(), [], []

    def progress(*_: object) -> bool:
        begun.set()
        time.sleep(0.02)
        return False

    def train(**given: object) -> None:
        try:
            session.train(partial=True, **given)
        except Exception as error:
            (raw if undocumented(error) else said).append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=train, kwargs={"progress": progress}, daemon=True)
    thread.start()
    begun.wait(PATIENCE)
    if how == "thread-train":
        train()
    else:
        try:
            ActiveSession(case.folder / "run", tiny_items()).train()
        except Exception as error:
            (raw if undocumented(error) else said).append(f"{type(error).__name__}: {error}")
    thread.join(PATIENCE)
    case.require(not thread.is_alive(), "the thread hangs")
    case.require(not raw, f"one of two gets: {raw[:1]}")
    session.store.close()
    return said


ATTACK = Attack(
    name="two_sessions",
    promise="Two sessions in one run folder, or a cell beside the training in the background, never "
    "break a run: both go on, or one is refused in words; rounds stay 0, 1, 2 and the numbers "
    "those of one session",
    how="pairs of processes start at a barrier and play whole rounds (with an oracle, answer by "
    "answer, in a new folder); a thread trains while the same session, or another on the "
    "folder, trains too",
    found="Before: 40 of 40 pairs of processes broke the run (rounds 0, 1, 1, 2; every later "
    "question FileNotFoundError), also in a folder that both had just made, and so did a "
    "thread beside a cell. Now a run has one owner at a time, and a round belongs to who "
    "finishes it first",
    unit="pairs",
    cases=cases,
    play=play,
    prepare=lambda: [alone(question) for question in SETTINGS],
)
