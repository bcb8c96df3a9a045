"""Which answers of a label store count in a run, and about which of its items.

A store may be shared by all runs on a collection, whatever their settings. The collection may change: what an
answer is about is told by the digest of the item where there is one, and by its key. So a file that was
renamed or moved keeps its answers, one that took the name of another has none yet, and those of a file that
is gone wait in the store until it comes back. (Features are no content: another network gives others.)

What a source (an oracle, a file) answered to the questions of one run counts in that run only: there it took
a person's place for an experiment, and every other run would be compared with its labels. What people
answered counts in all of them, and so do labels that were given without a question.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.closure import Closure, Contradiction
from dhaps_core.answers.questions import Source, round_of
from dhaps_core.data.items import Items

__all__ = ["Labels", "asked_by"]

_TAGGED = re.compile(r"@([^/]*)/(.*)", re.DOTALL)


def asked_by(run: str, question: str) -> str:
    """Name of a question in a store that several runs share.

    Example:
        >>> asked_by("1f", '3.["a.jpg"]')
        '@1f/3.["a.jpg"]'
    """
    return f"@{run}/{question}"


class Labels:
    """The answers of a store as one run sees them.

    Args:
        items: of the run.
        tag: by which the run's questions are told from those of others; None of a run that has its store for
            itself, where everything counts as it is.

    Attributes:
        contents: digest of each item by its key, where there are images and the store is shared.
    """

    def __init__(self, items: Items, tag: str | None) -> None:
        self.items, self.tag = items, tag
        self.contents: Mapping[str, str] = {}
        if tag is None:
            return
        if items.images is not None:
            self.contents = dict(zip(items.keys, items.images.digests(), strict=True))
        self._pool = frozenset(items.keys[row] for row in items.splits["train"])
        # Of equal files the first in the pool stands for the others.
        ordered = sorted(self.contents, key=lambda key: (key in self._pool, -items.position[key]))
        self._held_by = {self.contents[key]: key for key in ordered}
        self._seen: dict[int, tuple[Answer, Answer]] = {}
        self._apart: frozenset[int] = frozenset()
        self._counted: tuple[list[Answer], list[Answer]] = [], []

    def question(self, name: str) -> str:
        """Name of a question of this run in its store."""
        return name if self.tag is None or not round_of(name) else asked_by(self.tag, name)

    def settle(self, answers: Sequence[Answer]) -> None:
        """Find out which answers about renamed items are against those about what has their name now.

        Two people may have seen two copies differently; when one copy is gone, its answers do not count.
        """
        if self.tag is None:
            return
        closure, apart = Closure(multi_label=self.items.multi_label), set()
        pairs = [(self._named(one), one) for one in answers]
        for answer, _ in sorted(pairs, key=lambda pair: pair[0].keys != pair[1].keys):
            try:
                closure.add(answer)
            except Contradiction:
                apart.add(answer.id)
        self._apart, self._counted = frozenset(apart), ([], [])

    def agreeing(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """All answers of the store that must agree with each other, whether they count here or not."""
        if self.tag is None:
            return answers
        return [self._named(one) for one in answers if one.id not in self._apart]

    def counting(self, answers: Sequence[Answer]) -> list[Answer]:
        """The answers that count in this run, about its items; its questions have the names that it gave."""
        if self.tag is None:
            return list(answers)
        given, counting = self._counted
        if given != answers:  # the same objects compare fast, and a card asks many times between two answers
            counting = [self._named(one) for one in answers if self._why_not(one) is None]
            self._counted = list(answers), counting
        return list(counting)

    def left_out(self, answers: Sequence[Answer]) -> dict[str, int]:
        """Why answers do not count in this run, in words, and how many for each reason."""
        if self.tag is None:
            return {}
        return dict(Counter(why for one in answers if (why := self._why_not(one)) is not None))

    def _why_not(self, answer: Answer) -> str | None:
        asked = _TAGGED.fullmatch(answer.question or "") if Source.named(answer.who) else None
        if asked is not None and asked[1] != self.tag and round_of(asked[2]) is not None:
            return "of another run's oracle"
        if answer.id in self._apart:
            return "against others, on copies of what is gone"
        now = self._named(answer)
        if all(key in self._pool for key in now.keys):
            return None
        if all(key in self.items.position for key in now.keys):
            return "about queries"
        heads = [head for head, _, held in (key.partition("\0") for key in now.keys) if held]
        other = any(head in self.items.position for head in heads)
        return "about files that others have replaced" if other else "about files that are gone"

    def _named(self, answer: Answer) -> Answer:
        """The answer about items as they are called now; the same object each time, which compares fast."""
        kept, found = self._seen.get(answer.id, (None, answer))
        # What was refused had the id that the next answer gets.
        if kept is not answer and kept != answer:
            told = answer.contents or (None,) * len(answer.keys)
            names = {key: self._name(key, held) for key, held in zip(answer.keys, told, strict=True)}
            if len(set(names.values())) < len(names):  # a pair of copies of which one is left
                names = {key: f"{key}\0" for key in names}
            shown = tuple(names[key] for key in answer.shown)
            keys = tuple(sorted(shown))
            asked = _TAGGED.fullmatch(answer.question or "")
            question = asked[2] if asked is not None and asked[1] == self.tag else answer.question
            found = answer
            if keys != answer.keys or question != answer.question:
                found = replace(answer, keys=keys, flipped=keys != shown, question=question)
            self._seen[answer.id] = answer, found
        return found

    def _name(self, key: str, held: str | None) -> str:
        """Key of an item now; of one that is not here, a name that no item can have."""
        if held is None or not self.contents or self.contents.get(key) == held:
            return key
        return self._held_by.get(held, f"{key}\0{held}")
