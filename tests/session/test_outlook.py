"""What the answers bring, by hand on three classes and eight items; the same again from the watermarks."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.questions import label_oracle
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.data.class_names import NO_CLASS
from dhaps_core.data.sources import arrays
from dhaps_core.hashing.foretelling import Foretelling, Told
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.model import Model
from dhaps_core.session.outlook import Expected, Foretold, Outlook, expected, wilson
from dhaps_core.session.self_test import SelfTest, precision_among
from tests.given import TINY, played, tiny_items

KEYS = "abcdefgh"  # of the classes red, green and blue: a, d, g; b, e, h; c, f
CLASSES = dict(zip(KEYS, ["red", "green", "blue"] * 3, strict=False))
# What a model that knows a, b and c thinks of each item.
THOUGHT = torch.tensor(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1],
     [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [0.1, 0.2, 0.7], [0, 0.9, 0.1]]
)  # fmt: skip


def said(kind, *answers, start=1):
    return [
        Answer.given(kind, keys, value, who="anna", seconds=1.0, id=i, question=f"1.{i}")
        for i, (keys, value) in enumerate(answers, start)
    ]


def classes(keys, start=1):
    return said("class", *((key, [CLASSES[key]]) for key in keys), start=start)


def snapshot(answers, **more):
    return Snapshot(tuple(KEYS), answers, **more)


class Thinks(Model):
    """A model of eight items that knows a, b and c, and thinks what a test says."""

    def __init__(self, probabilities, *, several=False, held_out=(0.5, 0.5, 0.5), apart=None):
        self.pool = torch.arange(8)
        self.thought = Foretelling(
            probabilities,
            graph=torch.zeros(8, 3),
            linear=torch.zeros(2, 3),
            centres=torch.tensor([0, 1, 2]),
            kernels=torch.zeros(3, 3),
            trust=(1.0, 1.0, 1.0),
            apart=torch.full((3, 3), 1 / 3) if apart is None else torch.tensor(apart),
            held_out=torch.tensor(held_out),
        )
        self.several = several

    def told(self, known):
        names = tuple(CLASSES[key] for key in "abc")
        return Told(torch.tensor([0, 1, 2]), torch.eye(3).bool(), self.several, names)

    def foretell(self, known):
        return self.thought


def judge(model):
    return SelfTest(model, lambda _: None, {key: place for place, key in enumerate(KEYS)})


def test_answers_are_foretold_by_what_was_known_before_they_were_given():
    before, after = classes("abc"), classes("defgh", start=4)
    found = judge(Thinks(THOUGHT)).foretold(snapshot(before), snapshot(before + after), 3)
    # d red at .6: named. e green at .4, red was likelier. f blue at .6. g red at .1, h green at .9.
    assert [named for named, _ in found] == [True, False, True, False, True]
    assert [p for _, p in found] == pytest.approx([0.6, 0.4, 0.6, 0.1, 0.9])
    total = Foretold.of(found)
    assert (total.hits, total.answers) == (3, 5)
    assert total.probability == pytest.approx(2.6 / 5)
    assert (total.low, total.high) == pytest.approx(
        (0.2307, 0.8824), abs=1e-4
    )  # (.6 + .3842 -+ .5764) / 1.7683


def test_a_class_that_nobody_had_named_is_not_foretold_and_what_was_known_does_not_count():
    before = classes("abc")
    new = said("class", ("d", ["violet"]), start=4)
    again = said("class", ("a", ["red"]), start=5)
    found = judge(Thinks(THOUGHT)).foretold(snapshot(before), snapshot(before + new + again), 3)
    assert found == [(False, 0.0)]


def test_what_nobody_was_asked_is_not_foretold():
    known, given = classes("abc"), classes("dgeh", start=4)
    together = [replace(one, question=None) for one in given[1:]]
    found = judge(Thinks(THOUGHT)).foretold(snapshot(known), snapshot([*known, given[0], *together]), 3)
    assert found == [(True, pytest.approx(0.6))]


def test_pairs_are_the_same_as_far_as_both_items_have_one_class():
    before = classes("abc")
    words = said(
        "pair", ("bh", "same"), ("dg", "same"), ("ad", "different"), ("ab", "different"), ("ef", "unsure"),
        ("de", "same"), start=4,
    )  # fmt: skip
    found = judge(Thinks(THOUGHT)).foretold(snapshot(before), snapshot(before + words), 3)
    # b, h: .9, both green. d, g: .6 .1 + .3 .2 + .1 .7 = .19, red and blue. a, d: .6, both red. d, e: .43,
    # but both red. a, b were known; "unsure" says nothing.
    assert [named for named, _ in found] == [True, False, False, True]
    assert [p for _, p in found] == pytest.approx([0.9, 0.19, 0.4, 0.43])


def test_of_several_classes_all_must_be_named():
    before = classes("abc")
    new = said("class", ("d", ["red", "green"]), ("h", ["green"]), ("e", [NO_CLASS]), start=4)
    thinks = Thinks(THOUGHT, several=True)
    found = judge(thinks).foretold(
        snapshot(before, multi_label=True), snapshot(before + new, multi_label=True), 3
    )
    # d: .6 .3 .9, but green is below a half; h: 1 .9 .9; e: .5 .6 .9, none above a half.
    assert [named for named, _ in found] == [False, True, True]
    assert [p for _, p in found] == pytest.approx([0.162, 0.81, 0.27])


def test_a_different_is_plausible_as_far_as_the_others_hold_the_two_apart():
    apart = [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.0, 0.5, 0.5]]
    thinks = Thinks(THOUGHT, held_out=(0.9, 0.2, float("nan")), apart=apart)
    known = snapshot(said("pair", ("ab", "different"), ("ac", "different"), ("bd", "different")))
    # The two of the first are of one class with .9 x .8 + .1 x .2; c has no class, d is not known.
    assert judge(thinks).plausibility(known) == {1: pytest.approx(1 - 0.74)}


def test_held_out_probabilities_are_of_items_that_were_asked_about_and_can_be_named():
    thinks = Thinks(THOUGHT, held_out=(0.5, float("nan"), 0.2))
    known = snapshot(classes("ab"), copies=np.array([0, 1, 0, 3, 4, 5, 6, 7]))  # c is a copy of a
    assert judge(thinks).held_out(known) == {0: 0.5, 1: None}


def test_precision_among_labelled_items_by_hand():
    # Codes of 2 bits: a, b at one place, c, d at the opposite one, e between.
    codes = np.array([[1, 1], [1, 1], [-1, -1], [-1, -1], [1, -1], [1, 1], [1, 1], [1, 1]], dtype=np.int8)
    known = snapshot(classes("abde"))
    found = precision_among(codes, known, np.array([0, 1, 3, 4]))
    # Of three others each: a has d (red), b has e (green), and the other way round.
    assert (found.k, found.items) == (3, 4)
    assert found.value == pytest.approx(1 / 3)
    assert found.ceiling == pytest.approx(1 / 3)
    many = snapshot(classes("abcdefgh"))
    few = precision_among(codes, many, np.array([0, 1, 3]))
    assert few.k == 2
    assert few.value == pytest.approx((0.5 + 0 + 0.5) / 3)
    assert precision_among(codes, known, np.array([3])) is None


def test_precision_is_over_all_orders_inside_a_tie():
    codes = np.ones((12, 4), dtype=np.int8)  # every item at distance 0: eleven others, k = 10
    keys = [str(i) for i in range(12)]
    answers = said("class", *(((key,), ["even" if i % 2 else "odd"]) for i, key in enumerate(keys)))
    found = precision_among(codes, Snapshot(keys, answers), np.arange(12))
    assert found.k == 10
    assert found.value == pytest.approx(5 / 11)
    assert found.ceiling == pytest.approx(0.5)


def test_wilson_by_hand():
    # 8 of 10: (.8 + .19208) / 1.38416 -+ 1.96 sqrt(.016 + .009604) / 1.38416
    assert wilson(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-5)
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0


def test_the_next_ten_answers_bring_what_the_last_ones_did():
    before = dict.fromkeys(range(10), 0.4)
    after = {item: 0.4 + (0.2 if item < 5 else 0.0) for item in range(12)}
    found = expected(before, after, answers=20)
    # Gains .2 five times and 0 five times: mean .1, s = .10541, half 1.96 s / sqrt(10) = .06533; half of all.
    assert found.mean == pytest.approx(0.05)
    assert (found.low, found.high) == pytest.approx((0.05 - 0.03267, 0.05 + 0.03267), abs=1e-5)


def test_an_item_that_got_a_companion_counts_from_nothing_and_one_without_does_not_count():
    before = dict.fromkeys(range(10), None) | {10: None}
    after = dict.fromkeys(range(10), 0.5) | {10: None}
    assert expected(before, after, answers=10) == Expected(0.5, 0.5, 0.5)


def test_of_few_items_or_few_answers_nothing_is_expected():
    same = dict.fromkeys(range(10), 0.5)
    assert expected(same, same, answers=9) is None
    assert expected(dict.fromkeys(range(9), 0.5), same, answers=20) is None


OUTLOOK = Outlook(3, 60, "class", Foretold.of([(True, 0.5)] * 10 + [(False, 0.2)] * 10), None, 0.6, None)


def test_advice_and_its_reason():
    assert (OUTLOOK.advice, OUTLOOK.reason) == ("go on", "it is too early to tell what more answers bring")
    helped = replace(OUTLOOK, next_ten=Expected(0.02, 0.01, 0.03))
    assert (helped.advice, helped.reason) == ("go on", "the last answers helped to foretell the others")
    noise = replace(OUTLOOK, next_ten=Expected(0.001, -0.05, 0.052))  # much is within reach
    assert (noise.advice, noise.reason) == ("go on", "whether the last answers helped cannot be told yet")
    flat = replace(OUTLOOK, next_ten=Expected(0.001, -0.004, 0.006))
    assert flat.advice == "stop or change"
    assert flat.reason == "the next ten answers are expected to bring less than half a point"
    sure = replace(OUTLOOK, foretold=Foretold.of([(True, 0.9)] * 19 + [(False, 0.1)]))
    assert (sure.advice, sure.reason) == ("stop or change", "the model foretold 19 of the last 20 answers")
    assert replace(sure, kind="pair").advice == "go on"  # most pairs differ: no art


def test_the_line_says_all_of_it_and_that_it_is_an_estimate():
    told = replace(OUTLOOK, next_ten=Expected(0.02, 0.01, 0.03))
    assert told.line == (
        "The model foretold 10 of the last 20 answers (95 % interval 30 to 70 %); held out, what is known of "
        "an item gets 60 %; the next ten answers may add +2.0 points to that (+1.0 to +3.0). Go on: the last "
        "answers helped to foretell the others. (Estimated from the answers alone.)"
    )
    assert told.short == "foretold 10 of the last 20: go on"
    nothing = Outlook(0, 0, "class", None, None, None, None)
    assert nothing.line.startswith("Go on: it is too early to tell")


def test_a_row_keeps_the_numbers_through_json():
    row = json.loads(json.dumps({"outlook": replace(OUTLOOK, next_ten=Expected(0.02, 0.01, 0.03)).to_json()}))
    assert row["outlook"]["advice"] == "go on"
    assert Outlook.of_rows([{}, row]) == replace(OUTLOOK, next_ten=Expected(0.02, 0.01, 0.03))
    assert Outlook.of_rows([row, {}]) is None
    assert Outlook.of_rows([{"outlook": {"round": 1}}]) is None
    assert Outlook.of_rows([]) is None


# --- of a run


RUN = replace(TINY, picks=5, method="piq")


@pytest.mark.parametrize("question", ["classes", "pairs"])
def test_the_outlook_is_the_same_when_it_is_computed_again_after_reopening(tmp_path, question):
    items = tiny_items(60)
    session = played(tmp_path, items, 4, replace(RUN, question=question))
    told = [session.outlook(number) for number in range(4)]
    assert [one.round for one in told] == [0, 1, 2, 3]
    assert told[3].foretold.answers >= 10
    assert told[3] == Outlook.of_rows(session.history)
    again = ActiveSession(tmp_path, items, read_only=True)
    assert again.outlook(3) == told[3]
    for row in again._rounds.rows:
        row.pop("outlook", None)
    fresh = ActiveSession(tmp_path, items, read_only=True)
    for row in fresh._rounds.rows:
        row.pop("outlook", None)
    assert [fresh.outlook(number) for number in (3, 2, 1, 0)] == told[::-1]


def test_a_method_that_foretells_nothing_is_told_on_demand(tmp_path):
    session = played(tmp_path, tiny_items(60), 3, replace(RUN, method="dpsh"))
    assert all("outlook" not in row for row in session.history)
    assert session.outlook().answers == 20
    assert session.outlook().foretold.answers == 10


def test_labels_that_nobody_gave_play_no_part(tmp_path):
    items = tiny_items(60)
    first = played(tmp_path / "a", items, 3, RUN)
    asked = {items.position[answer.keys[0]] for answer in first.answers()}
    labels = np.array(items.labels)
    others = [row for row in items.splits["train"] if row not in asked]
    labels[others] = np.roll(labels[others], 1)
    changed = replace(items, labels=labels)
    second = ActiveSession(tmp_path / "b", changed, RUN)
    oracle = label_oracle(items)
    while second.round < 3:
        second.run_round(label_oracle(changed) if second.round == 0 else oracle.answer, who="oracle")
    assert first.history[2]["mAP@all"] != second.history[2]["mAP@all"]
    assert [first.outlook(number) for number in range(3)] == [second.outlook(number) for number in range(3)]


def test_the_model_before_knows_nothing_of_the_answers_of_its_round(tmp_path):
    items = tiny_items(60)
    session = played(tmp_path, items, 3, RUN)
    first, second = (session.history[number]["watermark"] for number in (1, 2))
    before, after = session.snapshot(first), session.snapshot(second)
    new = set(after.answered.tolist()) - set(before.answered.tolist())
    found = session._self_test.foretold(before, after, first)
    assert len(found) == len(new) == 10
    p = session.model.foretell(before).probabilities
    names = before.class_names  # every class was answered by then
    for (named, probability), answer in zip(found, after.answers[-10:], strict=True):
        row = p[session.picker.place[answer.keys[0]]]
        column = names.index(answer.classes[0])
        assert named == (int(row.argmax()) == column)
        assert probability == pytest.approx(float(row[column]))


def test_without_labels_and_queries_there_is_an_outlook(tmp_path):
    labelled = tiny_items(60)
    items = arrays(labelled.features, keys=labelled.keys, queries=0, seed=0)
    session = ActiveSession(tmp_path, items, RUN)
    session.train()
    while session.round < 3:
        for question in session.questions():
            session.answer(question, f"kind {int(question.keys[0]) % 4}", who="anna", seconds=1.0)
        row = session.train()
    assert "mAP@all" not in row
    assert session.outlook().foretold.answers == 10
