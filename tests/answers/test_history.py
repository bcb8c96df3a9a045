"""History against a slow reference: two persons interleave in two windows, which are closed and reopened."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.store import LabelStore

PEOPLE = st.sampled_from(["anna", "bo"])
QUESTIONS = st.sampled_from(["q0", "q1", "q2", None])


class Slow:
    """What counts after a list of rows, told from the first row each time.

    A row is (kind, who, question, target). Whether an answer counts is worked out by replaying all rows.
    """

    def __init__(self):
        self.rows = []

    def replay(self):
        active, lifted = set(), set()
        for number, (kind, _, _, target) in enumerate(self.rows, 1):
            if kind == "answer":
                active.discard(target)
                active.add(number)
            elif kind == "redo":
                lifted.add(target)
                undone = self.rows[target - 1]
                back = self.rows[undone[3] - 1][3] if undone[0] == "undo" else None
                active.discard(back)
                active.add(undone[3])
            else:
                active.discard(target)
                back = self.rows[target - 1][3] if kind == "undo" else None
                if back is not None:
                    active.add(back)
        return active, lifted

    def active(self):
        return sorted(self.replay()[0])

    def question(self, row):
        _, who, question, target = self.rows[row - 1]
        return (self.question(target)[0] if target is not None else question), who

    def standing(self, question, who):
        """The answers of somebody to a question that count."""
        return {
            row for row in self.active() if question is not None and self.question(row) == (question, who)
        }

    def undoable(self, who):
        return max((row for row in self.active() if who in (None, self.rows[row - 1][1])), default=None)

    def redoable(self, who):
        active, lifted = self.replay()
        withdrawn = [
            number
            for number, (kind, person, _, _) in enumerate(self.rows, 1)
            if kind in ("undo", "retract") and who in (None, person) and number not in lifted
        ]
        mine = [n for n, row in enumerate(self.rows, 1) if row[0] == "answer" and who in (None, row[1])]
        if not withdrawn or withdrawn[-1] <= max(mine, default=0):
            return None
        kind, _, _, answer = self.rows[withdrawn[-1] - 1]
        below = self.rows[answer - 1][3] if kind == "undo" else None
        if below is not None and below not in active:
            return None
        return None if self.standing(*self.question(answer)) - {below} else withdrawn[-1]


class Stores(RuleBasedStateMachine):
    """Two windows on one store."""

    @initialize()
    def start(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "labels.sqlite"
        self.windows = [LabelStore(self.path), LabelStore(self.path)]
        self.slow = Slow()
        self.states = [[]]

    def teardown(self):
        if hasattr(self, "windows"):
            for window in self.windows:
                window.close()
            self.folder.cleanup()

    def row(self, *row):
        self.slow.rows.append(row)
        self.states.append(self.slow.active())

    @rule(window=st.integers(0, 1), who=PEOPLE, question=QUESTIONS)
    def answer(self, window, who, question):
        got = self.windows[window].add(
            "class", ("x",), f"c{len(self.states)}", who=who, seconds=1.0, question=question
        )
        known = self.slow.standing(question, who)
        if not known:
            self.row("answer", who, question, None)
        assert got == max(known, default=len(self.slow.rows))

    @rule(window=st.integers(0, 1), who=PEOPLE, pick=st.integers(0, 20))
    def revise(self, window, who, pick):
        active = self.slow.active()
        target = active[pick % len(active)] if active and pick < 18 else pick + 1000
        try:
            self.windows[window].revise(target, f"c{len(self.states)}", who=who, seconds=1.0)
        except StoreError:
            assert target not in active
        else:
            self.row("answer", who, None, target)

    @rule(window=st.integers(0, 1), who=PEOPLE, pick=st.integers(0, 20))
    @precondition(lambda self: self.slow.active())
    def retract(self, window, who, pick):
        active = self.slow.active()
        target = active[pick % len(active)]
        self.windows[window].retract(target, who=who)
        self.row("retract", who, None, target)

    @rule(window=st.integers(0, 1), who=st.one_of(PEOPLE, st.none()))
    def undo(self, window, who):
        expected = self.slow.undoable(who)
        assert self.windows[window].undo(who=who) == expected
        if expected is not None:
            self.row("undo", who, None, expected)

    @rule(window=st.integers(0, 1), who=st.one_of(PEOPLE, st.none()))
    def redo(self, window, who):
        expected = self.slow.redoable(who)
        assert self.windows[window].redo(who=who) == expected
        if expected is not None:
            self.row("redo", who, None, expected)

    @rule(window=st.integers(0, 1))
    def reopen(self, window):
        self.windows[window].close()
        self.windows[window] = LabelStore(self.path)

    @rule(window=st.integers(0, 1), upto=st.integers(0, 40))
    def look_back(self, window, upto):
        upto %= len(self.states)
        assert [answer.id for answer in self.windows[window].answers(upto)] == self.states[upto]

    @invariant()
    def both_windows_agree(self):
        if hasattr(self, "windows"):
            for window in self.windows:
                assert [answer.id for answer in window.answers()] == self.states[-1]
                assert window.watermark() == len(self.slow.rows)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


def test_two_answers_of_one_person_to_one_question_are_both_known(tmp_path):
    """Found by the machine above: the second forgot the first, which was then asked again."""
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.add("class", ("x",), "cat", who="bo", seconds=1.0, question="q")
        assert store.add("class", ("x",), "dog", who="anna", seconds=1.0, question="q") == 2
        assert store.revise(1, "emu", who="anna", seconds=1.0) == 3
        store.retract(3, who="anna")
        assert store.add("class", ("x",), "cow", who="anna", seconds=1.0, question="q") == 2
        assert [answer.value for answer in store.answers()] == [("dog",)]
