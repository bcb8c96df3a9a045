"""What a card needs of a run: an `ActiveSession` has it, and a test can do without torch."""

from typing import Any, Protocol

from dhaps_core.answers.answer import Value
from dhaps_core.answers.closure import Closure
from dhaps_core.answers.questions import Question
from dhaps_core.answers.store import LabelStore
from dhaps_core.data.items import Items

__all__ = ["Session"]


class Session(Protocol):
    """A run as the labelling card sees it."""

    items: Items
    settings: Any
    store: LabelStore
    closure: Closure
    folder: Any

    @property
    def round(self) -> int:
        """Number of the round in progress."""

    @property
    def finished(self) -> str | None:
        """Why no further round is possible, or None."""

    def propose(self) -> Any:
        """The picks of the round."""

    def questions(self) -> list[Question]:
        """Its open questions."""

    def answer(self, question: Question, value: Value, *, who: str, seconds: float) -> int:
        """Row of the stored answer."""

    def counts(self) -> dict[str, int]:
        """Both budgets, and the pairs known."""
