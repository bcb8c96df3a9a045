"""What a few answers foretell of the other items."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.hashing.foreteller import Foreteller, landmarks_of
from dhaps_core.hashing.foretelling import FOLDS, Collection, Told, folds, foretell


def islands(n=90, d=6, seed=0):
    """Three islands of items, one after another."""
    generator = torch.Generator().manual_seed(seed)
    centres = 4 * torch.eye(3, d)
    labels = torch.arange(n) % 3
    return centres[labels] + 0.5 * torch.randn(n, d, generator=generator), labels


def told(labels, at):
    at = torch.tensor(at)
    return Told(at, torch.nn.functional.one_hot(labels[at]).bool())


def ring(n=240, seed=0):
    """A ring around a blob: no line parts the two."""
    generator = torch.Generator().manual_seed(seed)
    inner = 0.3 * torch.randn(n // 2, 2, generator=generator)
    angle = torch.linspace(0, 6.283, n // 2)
    outer = 3 * torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(n // 2, 2, generator=generator)
    flat = torch.cat([inner, outer])
    # On the sphere, so that directions keep where a point is.
    return torch.cat([flat, torch.full((n, 1), 2.0)], 1), torch.arange(n) // (n // 2)


def test_the_class_of_every_island_is_foretold_from_two_of_it():
    points, labels = islands()
    found = foretell(Collection(points), told(labels, [0, 1, 2, 3, 4, 5]))
    assert torch.equal(found.probabilities.argmax(1), labels)
    assert torch.allclose(found.probabilities.sum(1), torch.ones(90))
    assert float(found.held_out.min()) > 0.5


def test_what_no_line_parts_is_foretold_by_the_neighbours():
    points, labels = ring()
    found = foretell(Collection(points), told(labels, [0, 7, 20, 130, 150, 190]))
    assert float((found.probabilities.argmax(1) == labels).float().mean()) > 0.95
    assert found.trust[0] > 1


def test_more_answers_make_it_surer():
    points, labels = islands()
    few, many = (foretell(Collection(points), told(labels, list(range(n)))) for n in (6, 45))
    entropy = [-(f.probabilities * f.probabilities.clamp_min(1e-9).log()).sum(1).mean() for f in (few, many)]
    assert entropy[1] < entropy[0]


def test_answers_that_contradict_what_items_look_like_make_it_modest():
    points, labels = islands()
    at = list(range(60))
    random = labels[torch.randperm(90, generator=torch.Generator().manual_seed(3))]
    true, false = (foretell(Collection(points), told(given, at)) for given in (labels, random))
    assert sum(false.trust) < sum(true.trust)
    assert float(false.probabilities.max(1).values.mean()) < float(true.probabilities.max(1).values.mean())


def test_a_class_with_one_answer_cannot_be_foretold():
    points, labels = islands()
    found = foretell(Collection(points), told(labels, [0, 3, 1, 4, 2]))
    assert found.held_out.isnan().tolist() == [False] * 4 + [True]


def test_the_held_out_answers_do_not_know_themselves():
    """An item with the wrong class is not foretold to be of it, however sure the answer itself makes that."""
    points, labels = islands()
    wrong = labels.clone()
    wrong[0] = 1
    found = foretell(Collection(points), told(wrong, list(range(30))))
    assert float(found.held_out[0]) < 0.2
    assert float(found.held_out[3:].min()) > 0.5


def test_what_the_last_answers_foretell_is_kept_and_nothing_else():
    features, labels = islands()
    collection = Collection(features)
    known = [told(labels, list(range(count))) for count in (6, 9, 12, 15)]
    first = collection.foretold(known[0])
    assert collection.foretold(told(labels, list(range(6)))) is first  # the same answers, told anew
    assert torch.equal(first.probabilities, foretell(collection, known[0]).probabilities)
    others = [collection.foretold(one) for one in known[1:]]
    assert [collection.foretold(one) is kept for one, kept in zip(known[1:], others, strict=True)] == [
        True
    ] * 3
    assert collection.foretold(known[0]) is not first
    turned = Told(known[0].at, known[0].values.flip(1))
    assert torch.allclose(collection.foretold(turned).probabilities, first.probabilities.flip(1), atol=1e-3)


def test_folds_deal_every_class_in_turn():
    values = torch.tensor([[True, False]] * 7 + [[False, True]] * 8)
    fold = folds(values)
    counts = [[int((fold[part] == f).sum()) for f in range(FOLDS)] for part in (slice(7), slice(7, None))]
    assert all(max(row) - min(row) <= 1 for row in counts)


def test_several_classes_an_item():
    points, labels = islands()
    sets = torch.stack([labels == 0, labels >= 1], 1)
    at = torch.arange(30)
    found = foretell(Collection(points), Told(at, sets[at], several=True))
    assert ((found.probabilities > 0.5) == sets).float().mean() > 0.95
    assert not found.held_out.isnan().any()


@given(
    n=st.integers(3, 12),
    d=st.integers(1, 4),
    classes=st.integers(2, 4),
    several=st.booleans(),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_probabilities_are_some_whatever_is_known(n, d, classes, several, seed):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, d, generator=generator)
    count = int(torch.randint(2, n + 1, (), generator=generator))
    at = torch.randperm(n, generator=generator)[:count]
    if several:
        values = torch.rand(count, classes, generator=generator) > 0.5
    else:
        values = torch.nn.functional.one_hot(
            torch.randint(classes, (count,), generator=generator), classes
        ).bool()
        values = values[:, values.any(0)]
    found = foretell(Collection(points), Told(at, values, several))
    assert found.probabilities.shape == (n, values.shape[1])
    assert found.probabilities.isfinite().all()
    assert float(found.probabilities.min()) >= 0
    assert float(found.probabilities.max()) <= 1 + 1e-6


def test_the_layer_repeats_what_was_foretold_of_items_it_never_saw():
    points, labels = ring(480)
    pool = torch.arange(480) % 2 == 0
    collection = Collection(points[pool])
    found = foretell(collection, told(labels[pool], [0, 7, 20, 130, 150, 190]))
    front = Foreteller(3, classes=2, landmarks=landmarks_of(240) + 6)
    front.learn(collection, found, generator=torch.Generator().manual_seed(0))
    other = front.of_rows(torch.nn.functional.normalize(points[~pool], dim=1))
    assert float((other.argmax(1) == labels[~pool]).float().mean()) > 0.95
    out = front(points)
    assert out.shape == (480, front.out_features)
    of_all = front.of_rows(torch.nn.functional.normalize(points, dim=1))
    torch.testing.assert_close(front.of_activations(out), of_all, atol=1e-6, rtol=1e-4)
    assert torch.allclose(out[:, :3].norm(dim=1), torch.ones(480))
    assert np.allclose(out[:, 3:].norm(dim=1), 2**0.5, atol=1e-5)


def test_before_any_answer_the_layer_is_the_direction_alone():
    front = Foreteller(3)
    assert front(torch.tensor([[0.0, 3.0, 4.0]])).tolist() == [pytest.approx([0, 0.6, 0.8])]
