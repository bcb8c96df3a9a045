"""Answers of a person in the other runs of a folder: nobody is asked twice because a setting was changed."""

from pathlib import Path

from dhaps_core.answers import Value
from dhaps_core.closure import Contradiction
from dhaps_core.labels import LabelStore
from dhaps_core.rounds import ActiveSession

__all__ = ["reuse_answers"]


def reuse_answers(session: ActiveSession, folder: Path, *, who: str) -> int:
    """Number of open questions of a run that its neighbours had the answer to, by the same person.

    What contradicts the run's own answers is left for the person to judge.

    Args:
        session: the run whose questions are open.
        folder: holds the folders of all runs on the same items.
        who: the person.
    """
    questions = session.questions()
    known = _answers(session, folder, who) if questions else {}
    stored = 0
    for question in questions:
        value = known.get((question.kind, tuple(sorted(question.keys))))
        if value is None:
            continue
        try:
            session.answer(question, value, who=who, seconds=0.0)
        except Contradiction:
            continue
        stored += 1
    return stored


def _answers(session: ActiveSession, folder: Path, who: str) -> dict[tuple[str, tuple[str, ...]], Value]:
    """What the person said in the other runs; the later file name wins where they differ."""
    found: dict[tuple[str, tuple[str, ...]], Value] = {}
    for path in sorted(folder.glob("*/labels.sqlite")):
        if path.parent.resolve() == session.folder.path.resolve():
            continue
        with LabelStore(path) as store:
            found |= {(one.kind, one.keys): one.value for one in store.answers() if one.who == who}
    return found
