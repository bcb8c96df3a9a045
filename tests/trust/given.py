"""What the attacks share: a tiny collection, settings that train in milliseconds, and what an error
may be."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dhaps_core.answers.questions import Question, label_oracle
from dhaps_core.data.items import Items
from dhaps_core.data.sources import arrays
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings

ROUNDS = 3  # round 0 and two of selection
TRAINING = TrainingSettings(least=2, most=2, steps_without_labels=2)
SETTINGS = {
    question: Settings(
        method="dpsh", reading="closed", picks=3, bits=8, hidden=0, question=question, training=TRAINING
    )
    for question in ("classes", "pairs")
}


@cache
def tiny_items(n: int = 48) -> Items:
    """Items of four classes that lie apart."""
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 4
    rows = generator.normal(size=(n, 8)) + 2 * np.eye(4, 8)[labels]
    return arrays(rows.astype(np.float32), labels, queries=8, seed=0)


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A metrics row without what a clock measured."""
    return {name: value for name, value in row.items() if name != "seconds"}


def asked_one_by_one(session: ActiveSession) -> Iterator[Question]:
    """The questions of the round in progress, each when the one before is answered."""
    while session.round and (left := session.questions()):
        yield left[0]


def advance(
    session: ActiveSession, rounds: int, *, answered: Callable[[Question], object] = lambda _: None
) -> ActiveSession:
    """Play a session to the end of a number of rounds, one answer at a time."""
    oracle = label_oracle(session.items)
    while session.round < rounds:
        for question in asked_one_by_one(session):
            session.answer(question, oracle(question), who="oracle", seconds=0.0)
            answered(question)
        session.train()
    return session


def leftovers(folder: Path) -> list[str]:
    """Temporary files that nobody will finish."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if re.search(r"\.(new|part|tmp)$", path.name)
    )


def undocumented(error: BaseException, *, allowed: tuple[type[BaseException], ...] = ()) -> str | None:
    """Why an exception is not one that a person should meet, or None.

    Our own exceptions are, and plain ValueError: their text is ours. Their subclasses from other packages
    (JSONDecodeError, UnicodeDecodeError, SafetensorError) and texts of other packages are not.
    """
    kind, text = type(error), str(error)
    if "unsafe" in text.lower() or "allow_pickle" in text or "weights_only" in text:
        return f"suggests to load unsafely: {kind.__name__}: {text[:200]}"
    if kind.__module__.startswith("dhaps_core") or kind is ValueError or isinstance(error, allowed):
        return None
    return f"raw {kind.__module__}.{kind.__name__}: {text[:200]}"
