"""State of the sheet of many items: which were gathered, which are in, and what one confirmation stores.

Nothing here knows about a screen. An item counts only if its picture was on it: the screen tells which were.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dhaps_core.answers.answer import Answer, StoreError, Value
from widgets.labeller.answer_view import class_names, said_of
from widgets.labeller.class_keys import class_keys
from widgets.labeller.item_view import ItemViews
from widgets.sentences import REFUSALS

if TYPE_CHECKING:  # it loads torch, and a state must not
    from dhaps_core.session.active import ActiveSession

__all__ = ["ManyState"]

PAGE = 24  # items on a page
MOST = 960  # items that somebody could look through: forty pages


class ManyState:
    """Items gathered to be given one class, or the same classes, in one step.

    Args:
        session: the run.
        who: the person; stored with every answer.
        clock: seconds that only grow.

    Attributes:
        keys: of the items gathered, in their order; none while nothing is open.
        value: the classes chosen, most often one; none before that.
        page: number of the page shown, from 0.
        lot: grows with everything that is gathered: what was meant for another lot does nothing.
        note: one sentence for the person; empty if there is nothing to say.
    """

    def __init__(
        self, session: "ActiveSession", *, who: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.who, self._clock = who, clock
        self.note, self.lot = "", 0
        self.keys: list[str] = []
        self.value: tuple[str, ...] = ()
        self.attach(session)

    def attach(self, session: "ActiveSession") -> None:
        """Go on with another run; what was gathered is forgotten."""
        self.session = session
        self._views = ItemViews(session.items)
        self._pool = frozenset(session.items.keys[row] for row in session.items.splits["train"].tolist())
        self.close()

    # --- what the person does ------------------------------------------------------------------------------

    def gather(self, keys: Sequence[str]) -> bool:
        """Whether items are laid out now; queries stay out, as they must teach nothing."""
        found = list(dict.fromkeys(keys))
        wanted = [key for key in found if key in self._pool]
        strange = len(found) - len(wanted)
        if not wanted or len(wanted) > MOST:
            rule = f"1 to {MOST} items that are no queries can be named together"
            self.note = f"{rule}; here are {len(wanted)}. Select {'fewer' if wanted else 'others'}."
            return False
        self.close()
        self.keys, self.lot = wanted, self.lot + 1
        if strange:
            self.note = f"{_count(strange)} left out: queries must teach nothing."
        return True

    def toggle(self, key: str) -> None:
        """Leave an item out, or take it in again; one of another class stays out."""
        if key not in self.keys:
            return
        self.note = ""
        if (said := self._apart().get(key)) is not None:
            self.note = f"It is {', '.join(said)} already. Where that is wrong, revise that answer first."
            return
        self._out ^= {key}

    def choose(self, value: Value) -> None:
        """Choose the class or classes; nothing is stored yet. What is no name of a class changes nothing."""
        try:
            given = Answer.given("class", self.keys[:1], value, who=self.who, seconds=0.0, id=0)
        except StoreError as error:
            self.note = str(error)
        else:
            self.value, self.note = given.classes, ""

    def turn(self, page: int) -> None:
        """Show another page."""
        self.page = min(max(page, 0), self._pages - 1)

    def saw(self, keys: Sequence[str]) -> None:
        """Know that items were on the screen."""
        self._seen |= set(keys) & set(self.keys)

    def confirm(self) -> bool:
        """Whether the items that are in and were shown have the class now, all of them in one step."""
        counting = self._counting()
        if not self.value or not counting:
            self.note = "No item that was shown is in." if self.value else "Choose a class first."
            return False
        seconds = self._clock() - self._since
        try:
            rows = self.session.name_items(counting, self.value, who=self.who, seconds=seconds)
        except REFUSALS as error:
            self.note = f"Nothing was stored: {error}"
            return False
        told, unseen = ", ".join(self.value), len(self._unseen())
        self.close()
        self.note = f"{_count(len(rows))} named {told} in one step; Z takes all of it back."
        if not rows:
            self.note = f"Nothing was stored: all of them are {told} already."
        self.note += f" {_count(unseen)} not shown, so left out." if unseen else ""
        return bool(rows)

    def close(self) -> None:
        """Forget what was gathered."""
        self.keys = []
        self.value = ()
        self.page, self.note = 0, ""
        self._out: set[str] = set()
        self._seen: set[str] = set()
        self._since = self._clock()

    # --- what is shown -------------------------------------------------------------------------------------

    def view(self) -> dict[str, Any]:
        """Everything the sheet shows, as plain values; pictures are named by their keys."""
        answers = self.session.answers() if self.keys else []
        names = [*class_names(self.session.items, answers), *self.value]  # a new one, too
        said, apart = said_of(answers), self._apart()
        here = self.keys[self.page * PAGE : (self.page + 1) * PAGE]
        return {
            "items": [
                {
                    **self._views.of(key, said, asked=False),
                    "state": "apart" if key in apart else "out" if key in self._out else "in",
                }
                for key in here
            ],
            "gathered": len(self.keys),
            "counting": len(self._counting()),
            "unseen": len(self._unseen()),
            "apart": len(apart),
            "lot": self.lot,
            "page": self.page,
            "pages": self._pages,
            "value": list(self.value),
            "classes": class_keys(list(dict.fromkeys(names))) if self.keys else [],
            "several": self.session.items.multi_label,
            "note": self.note,
        }

    # --- inside --------------------------------------------------------------------------------------------

    @property
    def _pages(self) -> int:
        return max(1, -(-len(self.keys) // PAGE))

    def _apart(self) -> dict[str, tuple[str, ...]]:
        """Items that have another class than the one chosen, by an answer; before one is chosen, any."""
        if not self.keys:
            return {}
        said = {one.keys[0]: one.classes for one in self.session.answers() if one.kind == "class"}
        chosen = set(self.value)
        return {key: said[key] for key in self.keys if key in said and set(said[key]) != chosen}

    def _in(self) -> list[str]:
        apart = self._apart()
        return [key for key in self.keys if key not in apart and key not in self._out]

    def _counting(self) -> list[str]:
        return [key for key in self._in() if key in self._seen]

    def _unseen(self) -> list[str]:
        return [key for key in self._in() if key not in self._seen]


def _count(number: int) -> str:
    return f"{number} item{'' if number == 1 else 's'}"
