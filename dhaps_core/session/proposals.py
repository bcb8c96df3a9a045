"""The picks of a round, and the questions that they ask."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from dhaps_core.answers.questions import Question, question_name
from dhaps_core.session.errors import damaged
from dhaps_core.session.folder import RunFolder

__all__ = ["AHEAD", "PICKS", "Proposal"]

PICKS, AHEAD = "picks.json", "ahead.json"  # of a round; and what is asked while it is being trained
_KINDS: dict[str, type | tuple[type, ...]] = {
    "pairs": list, "scores": dict, "certificate": dict, "watermark": int, "seconds": (int, float),
}  # fmt: skip


@dataclass(frozen=True)
class Proposal:
    """The picks of one round; two are equal if they pick the same for the same reasons.

    Attributes:
        round: number of the round, from 1.
        pairs: keys of the two items of each pick, in the order of picking.
        scores: per pick: uncertainty, representativeness, diversity, total; empty for random picks.
        certificate: of :class:`dhaps_core.acquisition.select.Certificate`; empty for random picks.
        answers: that the round asks for, one question after another; None where it asks the pairs themselves.
        order: keys of the items to be placed by them, in order.
        watermark: of the answers that they were chosen upon; their seal (None of an older dhaps) beside it.
        seconds: that the choice took.
    """

    round: int
    pairs: tuple[tuple[str, str], ...]
    scores: dict[str, list[float]]
    certificate: dict[str, Any]
    watermark: int = field(compare=False)
    seal: str | None = field(compare=False)
    seconds: float = field(compare=False)
    answers: int | None = None
    order: tuple[str, ...] = ()

    def write(self, folder: RunFolder, name: str = PICKS) -> None:
        """Keep it in the folder of its round, under :data:`PICKS` or :data:`AHEAD`; only for the owner."""
        content = {name: value for name, value in vars(self).items() if name != "round"}
        folder.write_json(name, content, self.round)

    @classmethod
    def read(
        cls, folder: RunFolder, number: int, pool: Collection[str], name: str = PICKS
    ) -> "Proposal | None":
        """The picks of a round among the items of a pool, or None if none are chosen yet.

        Raises:
            RunDamaged: if they are something else.
        """
        path = folder.file(name, number)
        if (stored := folder.read_json(name, number)) is None:
            return None
        for part, kind in _KINDS.items():
            if not isinstance(stored.get(part), kind):
                raise damaged(path, f"have {part!r}", repr(stored.get(part)))
        for pair in stored["pairs"]:
            named = isinstance(pair, list) and len(pair) == 2 and all(isinstance(key, str) for key in pair)
            if not named or pair[0] == pair[1] or not all(key in pool for key in pair):
                raise damaged(path, "name pairs of items that the run trains on", repr(pair))
        for term, values in stored["scores"].items():
            if not isinstance(values, list) or len(values) != len(stored["pairs"]):
                raise damaged(path, f"have one value of {term!r} for each pair", "another number")
        answers, order = stored.get("answers"), stored.get("order", [])  # before items were placed: neither
        if not isinstance(answers, int | None) or not isinstance(order, list):
            raise damaged(path, "tell answers and an order", f"{answers!r} and {order!r:.80}")
        if strange := [key for key in order if not isinstance(key, str) or key not in pool]:
            raise damaged(path, "order items that the run trains on", repr(strange[0]))
        rest: Any = {part: stored[part] for part in _KINDS if part != "pairs"}
        rest |= {"seal": stored.get("seal"), "answers": answers, "order": tuple(order)}
        return cls(number, tuple((a, b) for a, b in stored["pairs"]), **rest)

    def questions(self, kind: Literal["classes", "pairs", "both"], *, first: int = 0) -> list[Question]:
        """All questions about the pairs, answered or not, in order; picks count from ``first``."""
        return [
            Question(question_name(self.round, keys), "pair" if kind == "pairs" else "class", keys, pick)
            for pick, pair in enumerate(self.pairs, first)
            for keys in ([pair] if kind == "pairs" else [(key,) for key in pair])
        ]
