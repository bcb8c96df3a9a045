"""What people and sources answer: stored at once unless it contradicts, and never in a person's place."""

from collections.abc import Sequence

from dhaps_core.answers.answer import Answer, StoreError, Value
from dhaps_core.answers.questions import Answering, PersonAsked, Question, Source, question_name, round_of
from dhaps_core.data.class_names import NO_CLASS
from dhaps_core.keys import listed_keys
from dhaps_core.session.meanwhile import MeanwhileRun
from dhaps_core.session.placing import Ask

__all__ = ["AnsweredRun"]


class AnsweredRun(MeanwhileRun):
    """A run whose questions are answered. What changes an answer raises RunReadOnly where it is looked at."""

    def answer(self, question: Question, value: Value, *, who: str, seconds: float) -> int:
        """Row of the stored answer; on disk when this returns. A contradiction is refused and stores nothing.

        The question is one of :meth:`questions`; one of an earlier moment is stored under its own pair. For
        the rest see `Answer.given`.

        Raises:
            Contradiction: if the answer contradicts earlier ones; it carries their chain.
            ValueError: if the question is none that this run can have asked by now: about other items than
                those that it trains on, or of a later round.
        """
        self.folder.check_writable()
        if len(question.keys) != {"class": 1, "pair": 2}.get(question.kind):
            rule = "a question must be about the class of one item, or about a pair of two"
            got = f"{question.kind!r} of {len(question.keys)}"
            raise ValueError(f"{rule}; got {got}. Take it from questions().")
        if strange := [key for key in question.keys if key not in self.picker.place]:
            rule = "a question must be about items that the run trains on, never about queries"
            raise ValueError(f"{rule}; got {strange[0]!r:.80}. Take it from questions() of this run.")

        def check(answers: Sequence[Answer]) -> None:
            if (asked := round_of(question.id) or 0) > (now := self.refresh()):
                rule = f"a question must be of round {now} or before"
                raise ValueError(f"{rule}; got one of round {asked}. Take it from questions() of this run.")
            self._agree(answers)

        asked, contents = self.labels.question(question.id), self.labels.contents
        return self.store.add(
            question.kind, question.keys, value, who=who, seconds=seconds, question=asked, contents=contents,
            check=check,
        )  # fmt: skip

    def revise(self, row: int, value: Value, *, who: str, seconds: float = 0.0) -> int:
        """Row of a new answer in the place of one that counts; :meth:`undo` brings the old one back.

        Raises:
            Contradiction: as :meth:`answer`.
            StoreError: if the row is no answer that counts, or the value no answer.
        """
        self.folder.check_writable()
        return self.store.revise(row, value, who=who, seconds=seconds, check=self._agree)

    def retract(self, row: int, *, who: str) -> int:
        """Row of the retraction of any answer that counts: its question is open again.

        Raises:
            StoreError: if the row is no answer that counts.
        """
        self.folder.check_writable()
        return self.store.retract(row, who=who)

    def undo(self, *, who: str | None = None) -> int | None:
        """Row of the answer taken back, the newest that counts (of a person, if given); None where none does.

        What was answered at once is taken back at once.

        Raises:
            Contradiction: if an answer that it had revised would count again, against later ones.
            StoreError: if a newer one was given in another run and does not count here: it is not seen.
        """
        self.folder.check_writable()
        newest = max((one.id for one in self.answers() if who in (None, one.who)), default=None)
        if newest is None:
            return None

        def check(answers: Sequence[Answer]) -> None:
            if any(one.id == newest for one in answers):
                rule = "the newest answer must count in this run to be undone here; it is about another one's"
                raise StoreError(f"{rule} items. Undo it there, or retract the one that is meant.")
            self._agree(answers)

        return self.store.undo(who=who, check=check)

    def redo(self, *, who: str | None = None) -> int | None:
        """Row of the last undo (of a person, if given), which is lifted; None where none is to be lifted.

        Raises:
            Contradiction: if the answer contradicts later ones; it stays taken back.
        """
        self.folder.check_writable()
        return self.store.redo(who=who, check=self._agree)

    def answer_all(
        self, source: Source | Answering, *, who: str | None = None, handed_over: bool = False
    ) -> int:
        """Number of questions of the round answered by a source (an oracle or a CSV file).

        Where all questions are known beforehand, it answers all of them, or none. Where items are placed, an
        answer leads to the next question, and is stored before that is found. There an answer against the one
        that it was to confirm is settled by a third, about another pair that asks the same: of the three
        the one that is alone becomes "unsure" (by a revision, so the log keeps what was said). Without such a
        pair the likelier word stands. An answer of anybody else is not revised: then it is a contradiction.

        Args:
            source: a `questions.Source`, stored under its own name, or any function.
            who: name of a function; ``oracle`` by default. A source has its own, and never a person's.
            handed_over: whether the person who was shown the questions leaves them to the source. Where the
                person has answered one of them, they stay the person's.

        Raises:
            PersonAsked: if a person was asked, or answers just now.
            Contradiction: if the answers contradict each other or earlier ones.
            NoAnswer: if the source cannot answer one of the questions. Where items are placed, the answers
                before it are stored.
            ValueError: if ``who`` is another name than the source's own.
        """
        shown = not handed_over
        if self.propose().answers is None:
            return self._answer_each(self.questions(), source, who, shown=shown)
        given = 0
        while open_now := self._placing(self.propose(), self.answers()):
            question, ask = open_now[0]
            if ask is None or ask.doubted is None:
                given += self._answer_each([question], source, who, shown=shown)
            else:
                given += self._answer_again(question, ask, source, self._name_of(source, who), shown=shown)
        return given

    def answer_items(self, keys: Sequence[str], source: Source | Answering, *, who: str | None = None) -> int:
        """Number of items given their class by a source, chosen or not, where they have none.

        For labels that are there already, before or between the rounds.
        For the source, its name and further errors see :meth:`answer_all`.

        Raises:
            KeyError: if a key is not one of an item that the run trains on: queries teach nothing.
            ValueError: if they are no list (:func:`dhaps_core.keys.listed_keys`).
        """
        keys = self._training_keys(keys)
        classed = {answer.keys[0] for answer in self.answers() if answer.kind == "class"}
        wanted = [key for key in keys if key not in classed]
        questions = [Question(question_name(None, (key,)), "class", (key,), -1) for key in wanted]
        return self._answer_each(questions, source, who)

    def _training_keys(self, keys: Sequence[str]) -> list[str]:
        """Keys as a list, each once."""
        keys = list(dict.fromkeys(listed_keys(keys)))
        if strange := [key for key in keys if key not in self.picker.place]:
            rule = "keys must be those of training items, never of queries"
            raise KeyError(f"{rule}; got {strange[0]!r} and {len(strange) - 1} more. Leave them out.")
        return keys

    def _answer_each(
        self,
        questions: Sequence[Question],
        source: Source | Answering,
        who: str | None,
        *,
        shown: bool = True,
    ) -> int:
        name = self._name_of(source, who)

        def check(answers: Sequence[Answer]) -> None:
            self._refuse(questions, self.labels.counting(answers), name, shown=shown)
            self._agree(answers)

        # Before the source is asked; and again when nobody else can write.
        self._refuse(questions, self.answers(), name, shown=shown)
        given = [
            (question.kind, question.keys, source(question), self.labels.question(question.id))
            for question in questions
        ]
        self.store.add_all(given, who=name, contents=self.labels.contents, check=check)
        return len(questions)

    def _name_of(self, source: Source | Answering, who: str | None) -> str:
        """Name under which the answers of a source are stored."""
        self.folder.check_writable()
        name = source.name if isinstance(source, Source) else who or "oracle"
        if who not in (None, name):
            raise ValueError(
                f"a source must answer under its own name, {name!r}; got who={who!r}. Leave who out."
            )
        return name

    def _answer_again(
        self, question: Question, ask: Ask, source: Source | Answering, name: str, *, shown: bool
    ) -> int:
        """Number of answers of a source to a question that asks an answer again, and what they decide."""
        proposal, doubted = self.propose(), ask.doubted
        assert doubted is not None
        self._refuse([question], self.answers(), name, shown=shown)
        said = {question: source(question)}
        if said[question] in (doubted.value, "unsure") or doubted.who != name:
            return self._answer_each([question], said.__getitem__, name, shown=shown)
        judge: Value = "same" if ask.same > 0.5 else "different"
        if ask.third is not None and self.left > 1:
            third = self._question(proposal, tuple(self.items.keys[one] for one in ask.third))
            said[third] = judge = source(third)
        # The new word stands while the earlier one is unsure; if it loses, they change places.
        row = self.revise(doubted.id, "unsure", who=name)
        self._answer_each([question], said.__getitem__, name, shown=shown)
        if judge == doubted.value:
            mine = max(one.id for one in self.answers() if one.question == question.id and one.who == name)
            self.revise(mine, "unsure", who=name)
            self.revise(row, doubted.value, who=name)
        self._answer_each(list(said)[1:], said.__getitem__, name, shown=shown)
        return len(said)

    def _refuse(
        self, questions: Sequence[Question], answers: Sequence[Answer], name: str, *, shown: bool
    ) -> None:
        """Refuse a source what is left to people."""
        if said := self._left_to(questions, answers, but=name, shown=shown):
            raise PersonAsked(said)

    def _agree(self, answers: Sequence[Answer]) -> None:
        """Refuse answers that contradict each other, or say "no class" where each item has one."""
        none = next((one for one in answers if one.classes == (NO_CLASS,)), None)
        if none is not None and not self.items.multi_label:
            rule = "an item must have a class, as each item here has one"
            got = f"{NO_CLASS!r} for {none.keys[0]!r:.80}"
            raise StoreError(f"{rule}; got {got}. Name its class, or skip the question.")
        with self._facts:
            self._all_facts.update(self.labels.agreeing(answers))
