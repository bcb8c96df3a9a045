"""The picks of a round as they are kept, and the questions that they ask."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from dhaps_core.answers.questions import Question, question_name
from dhaps_core.session.damage import damaged
from dhaps_core.session.folder import RunFolder

__all__ = ["Proposal", "asked_questions", "read_picks", "read_proposal"]

_KINDS: dict[str, type | tuple[type, ...]] = {
    "pairs": list, "scores": dict, "certificate": dict, "watermark": int, "seconds": (int, float),
}  # fmt: skip


@dataclass(frozen=True)
class Proposal:
    """The picks of one round.

    Attributes:
        round: number of the round, from 1.
        pairs: keys of the two items of each pick, in the order of picking.
        scores: per pick: uncertainty, representativeness, diversity, total; empty for random picks.
        certificate: of :class:`dhaps_core.acquisition.select.Certificate`; empty for random picks.
    """

    round: int
    pairs: tuple[tuple[str, str], ...]
    scores: dict[str, list[float]]
    certificate: dict[str, Any]


def read_proposal(folder: RunFolder, number: int, pool: Collection[str]) -> Proposal | None:
    """The picks of a round, or None if none are chosen yet; see :func:`read_picks`."""
    if not folder.file("picks.json", number).exists():
        return None
    stored = read_picks(folder, number, pool)
    pairs = tuple((a, b) for a, b in stored["pairs"])
    return Proposal(number, pairs, stored["scores"], stored["certificate"])


def read_picks(folder: RunFolder, number: int, pool: Collection[str]) -> dict[str, Any]:
    """What picks.json of a round holds: the fields of a proposal, and the watermark they were chosen at.

    Args:
        folder: of the run.
        number: of the round.
        pool: keys of the items that the run trains on.

    Raises:
        RunDamaged: if it is missing, or something else.
    """
    path = folder.file("picks.json", number)
    if (stored := folder.read_json("picks.json", number)) is None:
        raise damaged(path, "be there", "no file")
    for name, kind in _KINDS.items():
        if not isinstance(stored.get(name), kind):
            raise damaged(path, f"have {name!r}", repr(stored.get(name)))
    for pair in stored["pairs"]:
        named = isinstance(pair, list) and len(pair) == 2 and all(isinstance(key, str) for key in pair)
        if not named or pair[0] == pair[1] or not all(key in pool for key in pair):
            raise damaged(path, "name pairs of items that the run trains on", repr(pair))
    for name, values in stored["scores"].items():
        if not isinstance(values, list) or len(values) != len(stored["pairs"]):
            raise damaged(path, f"have one value of {name!r} for each pair", "another number")
    return stored


def asked_questions(proposal: Proposal, question: Literal["classes", "pairs"]) -> list[Question]:
    """All questions of a round, answered or not, in the order of asking."""
    number, found = proposal.round, []
    for pick, pair in enumerate(proposal.pairs):
        if question == "pairs":
            found.append(Question(question_name(number, pair), "pair", pair, pick))
        else:
            found += [Question(question_name(number, (key,)), "class", (key,), pick) for key in pair]
    return found
