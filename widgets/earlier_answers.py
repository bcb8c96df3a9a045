"""Answers of a person in the other runs of a folder: nobody is asked twice because a setting was changed."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dhaps_core.answers.answer import StoreError, Value
from dhaps_core.answers.closure import Contradiction
from dhaps_core.answers.questions import question_name
from dhaps_core.answers.store import LabelStore
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.folder import RunFolder
from dhaps_core.session.opening import with_stored_splits

__all__ = ["EarlierRunLeftOut", "reuse_answers"]


class EarlierRunLeftOut(UserWarning):
    """A neighbouring run is damaged or of other items, so its answers are not brought over."""


def reuse_answers(session: ActiveSession, folder: Path, *, who: str) -> int:
    """Number of open questions of a run that its neighbours had the answer to, by the same person.

    What contradicts the run's own answers is left for the person to judge.

    Args:
        session: the run whose questions are open.
        folder: holds the folders of all runs on the same items.
        who: the person.

    Warns:
        EarlierRunLeftOut: naming a neighbour that cannot be read, or whose items are others.
    """
    questions = session.questions()
    known = _answers(session, folder, who) if questions else {}
    stored = 0
    for question in questions:
        value = known.get(question.about)
        if value is None:
            continue
        given = replace(question, id=question_name(None, question.keys))  # nobody was asked in this round
        try:
            session.answer(given, value, who=who, seconds=0.0)
        except Contradiction:
            continue
        stored += 1
    return stored


def _answers(session: ActiveSession, folder: Path, who: str) -> dict[tuple[str, tuple[str, ...]], Value]:
    """What the person said in the other runs; the later file name wins where they differ."""
    found: dict[tuple[str, tuple[str, ...]], Value] = {}
    for path in _neighbours(session, folder):
        try:
            # Refuses other items under the same keys.
            with_stored_splits(RunFolder(path, read_only=True), session.items, "")
            with LabelStore(path / "labels.sqlite", create=False, read_only=True) as store:
                found |= {(one.kind, one.keys): one.value for one in store.answers() if one.who == who}
        except (StoreError, ValueError) as error:
            warnings.warn(f"The answers in {path} stay there: {error}", EarlierRunLeftOut, stacklevel=3)
    return found


def _neighbours(session: ActiveSession, folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*/settings.json")):
        if path.parent.resolve() != session.folder.path.resolve():
            yield path.parent
