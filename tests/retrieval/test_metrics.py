import itertools
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from dhaps_core import hamming
from dhaps_core.codes import sign
from dhaps_core.retrieval import average_precision as ap_module
from dhaps_core.retrieval.average_precision import (
    average_precision,
    average_precision_bounds,
    mean_average_precision,
    threshold_average_precision,
)
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.metrics import (
    evaluate,
    expected_hits,
    precision_at_k,
    precision_ceiling,
    precision_recall_curve,
    precision_within_radius,
    recall_at_k,
)
from dhaps_core.retrieval.relevance import Relevance
from tests import reference

exactly = {"rel": 1e-12, "abs": 1e-12}


def codes_at(distances, bits):
    """Items at the given distances from the code of all +1."""
    return 1.0 - 2.0 * (torch.arange(bits) < torch.tensor(distances)[:, None])


def ranking(distances, relevant, bits=None):
    """Histograms of one query."""
    bits = bits or max(1, *distances)
    matrix = Relevance.matrix(torch.tensor([relevant], dtype=torch.bool))
    return distance_histograms(torch.ones(1, bits), codes_at(distances, bits), matrix)


def random_codes(n, bits, generator, dtype=torch.float32):
    return sign(torch.randn(n, bits, generator=generator)).to(dtype)


# Values worked by hand.


def test_five_items_three_of_them_tied():
    h = ranking([0, 1, 1, 1, 2], [1, 0, 1, 0, 1])
    assert h.items.tolist() == [[1, 3, 1]]
    assert h.relevant.tolist() == [[1, 1, 1]]
    assert mean_average_precision(h) == pytest.approx(209 / 270, **exactly)
    assert mean_average_precision(h, 3, "min") == pytest.approx(14 / 27, **exactly)
    assert mean_average_precision(h, 3, "hits") == pytest.approx(17 / 18, **exactly)
    assert float(precision_at_k(h, [3])) == pytest.approx(5 / 9, **exactly)
    assert float(recall_at_k(h, [3])) == pytest.approx(5 / 9, **exactly)
    assert float(threshold_average_precision(h)) == pytest.approx(7 / 10, **exactly)
    bounds = average_precision_bounds(h)
    assert float(bounds.pessimistic) == pytest.approx(7 / 10, **exactly)
    assert float(bounds.optimistic) == pytest.approx(13 / 15, **exactly)


def test_ten_items_all_tied():
    h = ranking([4] * 10, [0] * 9 + [1], bits=8)
    harmonic = float(sum(Fraction(1, i) for i in range(1, 11)) / 10)
    assert mean_average_precision(h) == pytest.approx(harmonic, **exactly)
    assert float(precision_at_k(h, [1])) == pytest.approx(0.1, **exactly)
    assert float(threshold_average_precision(h)) == pytest.approx(0.1, **exactly)
    bounds = average_precision_bounds(h)
    assert (float(bounds.pessimistic), float(bounds.optimistic)) == pytest.approx((0.1, 1.0), **exactly)
    # Slicing with [0:-1] for "all" would drop the last item, the only relevant one.
    assert mean_average_precision(h) > 0


def test_retrieving_less_never_scores_higher_with_the_min_denominator():
    a, b = ranking([0, 1, 2], [1, 0, 1], bits=4), ranking([0, 1, 2], [1, 0, 0], bits=4)
    assert mean_average_precision(a, 3, "hits") == pytest.approx(5 / 6, **exactly)
    assert mean_average_precision(b, 3, "hits") == pytest.approx(1.0, **exactly)
    more = ranking([0, 1, 2, 3], [1, 0, 0, 1], bits=4)
    assert mean_average_precision(more, 3, "hits") == pytest.approx(1.0, **exactly)
    assert mean_average_precision(more, 3, "min") == pytest.approx(1 / 2, **exactly)


def test_a_query_without_relevant_items_counts_zero_and_is_reported():
    query, database = torch.ones(2, 4), codes_at([0, 1, 2], 4)
    relevance = Relevance.classes(np.array([0, 7]), np.array([0, 1, 0]))
    h = distance_histograms(query, database, relevance)
    assert average_precision(h).tolist() == pytest.approx([5 / 6, 0], **exactly)
    assert mean_average_precision(h) == pytest.approx(5 / 12, **exactly)  # .8333 if it were dropped
    assert mean_average_precision(h, 3, "hits") == pytest.approx(5 / 12, **exactly)
    assert evaluate(h)["queries_without_relevant"] == 1
    curve = precision_recall_curve(h)
    assert float(curve.precision[-1]) == pytest.approx(1 / 3, **exactly)
    assert float(curve.recall[-1]) == pytest.approx(1 / 2, **exactly)


def test_label_sets_that_overlap_are_relevant():
    relevance = Relevance.labels(np.array([[1, 1, 0], [0, 0, 0]]), np.array([[0, 1, 1], [0, 0, 1]]))
    assert relevance.rows(slice(None)).tolist() == [[True, False], [False, False]]
    assert relevance.pairs(torch.tensor([0, 0]), torch.tensor([0, 1])).tolist() == [True, False]


def test_recall_at_every_cut_off():
    # The tie of ranks 2 and 3 holds one relevant item, half of it at each.
    h = ranking([0, 1, 1, 2], [1, 1, 0, 1])
    assert recall_at_k(h, [1, 2, 3, 4]).tolist() == pytest.approx([1 / 3, 1 / 2, 2 / 3, 1], **exactly)


def test_the_ball_includes_its_radius_and_an_empty_ball_is_zero():
    h = ranking([0, 1, 2, 3], [1, 0, 1, 1])
    assert precision_within_radius(h, 2) == pytest.approx((2 / 3, 0.0), **exactly)
    query = torch.stack([torch.ones(8), -torch.ones(8)])
    both = distance_histograms(
        query, codes_at([0, 1], 8), Relevance.matrix(torch.tensor([[True, False], [True, True]]))
    )
    assert precision_within_radius(both, 2) == pytest.approx((1 / 4, 1 / 2), **exactly)
    assert evaluate(both, radius=2)["empty_balls@r2"] == 0.5


def test_long_random_codes_have_empty_balls(generator):
    query, database = random_codes(20, 64, generator), random_codes(1000, 64, generator)
    classes = torch.arange(1000) % 10
    h = distance_histograms(query, database, Relevance.classes(classes[:20], classes))
    assert precision_within_radius(h, 2) == (0.0, 1.0)


def test_random_codes_score_about_the_share_of_relevant_items(generator):
    query, database = random_codes(200, 16, generator), random_codes(2000, 16, generator)
    h = distance_histograms(
        query, database, Relevance.classes(torch.arange(200) % 10, torch.arange(2000) % 10)
    )
    values = evaluate(h)
    assert values["P@all"] == pytest.approx(0.1, **exactly)
    assert values["mAP@all"] == pytest.approx(0.1, abs=0.01)


def test_curve_over_radii_is_not_the_expected_average_precision():
    h = ranking([0, 1, 1, 1, 2], [1, 0, 1, 0, 1])
    curve = precision_recall_curve(h)
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 3 / 5], **exactly)
    assert curve.recall.tolist() == pytest.approx([1 / 3, 2 / 3, 1], **exactly)


def test_names_carry_cut_off_and_denominator():
    values = evaluate(ranking([0, 1, 1, 1, 2], [1, 0, 1, 0, 1]), ks=(1, 3), radius=1)
    assert set(values) == {
        *("mAP@all", "mAP@all (pessimistic)", "mAP@all (optimistic)", "threshold AP", "P@all"),
        *("mAP@1 (min)", "mAP@1 (hits)", "P@1", "R@1", "mAP@3 (min)", "mAP@3 (hits)", "P@3", "R@3"),
        *("P@r1", "empty_balls@r1", "queries", "queries_without_relevant", "database", "bits"),
        *("self", "exclude_self", "excluded", "overlap"),
    }
    assert values["mAP@3 (hits)"] == pytest.approx(17 / 18, **exactly)
    assert (values["queries"], values["database"], values["bits"], values["overlap"]) == (1, 5, 2, None)


# The closed formulas against every order inside the ties, in fractions.

rankings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(rankings)
def test_every_metric_is_the_mean_over_all_tie_orders(items):
    distances, relevant = zip(*items, strict=True)
    h = ranking(list(distances), list(relevant), bits=3)
    n = len(items)

    def mean(metric):
        return pytest.approx(float(reference.expected(metric, distances, relevant)), **exactly)

    for k in range(1, n + 1):
        for denominator in ("min", "hits"):
            wanted = mean(lambda o, k=k, d=denominator: reference.average_precision(o, k, d))
            assert mean_average_precision(h, k, denominator) == wanted
        assert float(precision_at_k(h, [k])) == mean(lambda o, k=k: reference.precision_at(o, k))
        assert float(recall_at_k(h, [k])) == mean(lambda o, k=k: reference.recall_at(o, k))
    whole = [reference.average_precision(o, n, "min") for o in reference.tie_orders(distances, relevant)]
    assert mean_average_precision(h) == mean(lambda o: reference.average_precision(o, n, "min"))
    bounds = average_precision_bounds(h)
    assert float(bounds.pessimistic) == pytest.approx(float(min(whole)), **exactly)
    assert float(bounds.optimistic) == pytest.approx(float(max(whole)), **exactly)
    threshold = float(reference.threshold_average_precision(distances, relevant))
    assert float(threshold_average_precision(h)) == pytest.approx(threshold, **exactly)
    for radius in range(4):
        ball = [r for d, r in items if d <= radius]
        wanted = (sum(ball) / len(ball), 0.0) if ball else (0.0, 1.0)
        assert precision_within_radius(h, radius) == pytest.approx(wanted, **exactly)
        curve = precision_recall_curve(h)
        assert float(curve.precision[radius]) == pytest.approx(wanted[0], **exactly)
        recall = sum(ball) / sum(relevant) if any(relevant) else 0.0
        assert float(curve.recall[radius]) == pytest.approx(recall, **exactly)


def test_hypergeometric_probabilities_of_a_large_tie():
    # 20,000 tied items, 3,000 relevant, 5,000 kept: far beyond what factorials hold in float64.
    n, r, T = 20_000, 3_000, 5_000
    found = torch.arange(r + 1)[None]
    p = ap_module._hypergeometric(*(torch.tensor([[x]]) for x in (n, r, T)), found)[0]
    assert float(p.sum()) == pytest.approx(1, rel=1e-12)
    assert float((p * found[0]).sum()) == pytest.approx(T * r / n, rel=1e-10)
    variance = T * r / n * (1 - r / n) * (n - T) / (n - 1)
    assert float((p * (found[0] - T * r / n) ** 2).sum()) == pytest.approx(variance, rel=1e-8)


def test_queries_in_pieces_give_the_same_values(generator, monkeypatch):
    query, database = random_codes(40, 6, generator), random_codes(300, 6, generator)
    h = distance_histograms(query, database, Relevance.classes(torch.arange(40) % 3, torch.arange(300) % 3))
    whole = average_precision(h, 77, "hits")
    monkeypatch.setattr(ap_module, "_CELLS", 64)
    assert torch.allclose(average_precision(h, 77, "hits"), whole, rtol=1e-14, atol=0)


# Histograms against counting one distance after the other.


def relevance_of(kind, q, m, generator):
    if kind == "classes":
        # Class 5 is rare, class 6 is no query's and class 9 is not in the database.
        database = torch.randint(0, 5, (m,), generator=generator)
        database[:: max(1, m // 3)] = 5
        database[1::7] = 6
        query = torch.randint(0, 6, (q,), generator=generator)
        query[-1] = 9
        return Relevance.classes(query, database), query[:, None] == database
    if kind == "labels":
        query, database = (torch.rand(n, 6, generator=generator) < 0.2 for n in (q, m))
        return Relevance.labels(query, database), (query[:, None] & database).any(2)
    matrix = torch.rand(q, m, generator=generator) < 0.3
    return Relevance.matrix(matrix), matrix


@pytest.mark.parametrize("bits", [1, 2, 3, 7, 8, 12, 15, 16, 31, 32, 64, 100])
@pytest.mark.parametrize("kind", ["classes", "labels", "matrix"])
@pytest.mark.parametrize("dtype", [torch.int8, torch.float32, torch.float64])
@pytest.mark.parametrize("m", [1, 63, 64, 517])
def test_histograms_are_the_counts(bits, kind, dtype, m, generator, device, monkeypatch):
    # Small pieces, so that chunks of the database, blocks of queries and a shorter last block all occur.
    monkeypatch.setattr(hamming, "_QUERIES", 5)
    monkeypatch.setattr(hamming, "_ITEMS", 255)
    query, database = (random_codes(n, bits, generator, dtype) for n in (13, m))
    query[0], database[0] = 1, -1
    relevance, wanted = relevance_of(kind, 13, m, generator)
    h = distance_histograms(query.to(device), database.to(device), relevance)
    distances = (query[:, None] != database).sum(2)
    for i in range(13):
        assert h.items[i].tolist() == distances[i].bincount(minlength=bits + 1).tolist()
        assert h.relevant[i].tolist() == distances[i][wanted[i]].bincount(minlength=bits + 1).tolist()
    assert (h.items.dtype, h.items.device, h.bits, h.database) == (
        torch.int64,
        query.to(device).device,
        bits,
        m,
    )


def test_histograms_against_a_double_loop(generator):
    query, database = random_codes(5, 9, generator), random_codes(40, 9, generator)
    h = distance_histograms(query, database, Relevance.classes(torch.zeros(5).long(), torch.zeros(40).long()))
    distances = reference.hamming(query.tolist(), database.tolist())
    assert h.items.tolist() == [reference.histogram(row, 9) for row in distances]
    assert torch.equal(h.items, h.relevant)


@pytest.mark.parametrize("bits", [255, 256, 300])
def test_histograms_of_long_codes(bits, generator):
    query, database = random_codes(3, bits, generator), random_codes(700, bits, generator)
    database[0], database[1] = query[0], -query[0]
    h = distance_histograms(query, database, Relevance.classes(torch.arange(3), torch.arange(700) % 3))
    wanted = torch.stack([d.bincount(minlength=bits + 1) for d in (query[:, None] != database).sum(2)])
    assert torch.equal(h.items, wanted)
    assert h.items[0, 0] == h.items[0, bits] == 1


def test_more_items_than_a_chunk_all_at_one_distance(generator):
    m = hamming._ITEMS + 1
    database = torch.ones(m, 3, dtype=torch.int8)
    h = distance_histograms(
        -database[:2], database, Relevance.classes(torch.zeros(2).long(), torch.zeros(m).long())
    )
    assert h.items.tolist() == h.relevant.tolist() == [[0, 0, 0, m]] * 2


# Which items are ranked.


@pytest.mark.parametrize("kind", ["classes", "labels", "matrix"])
def test_the_query_itself_is_left_out_by_key(kind, generator):
    database = random_codes(30, 8, generator)
    positions = torch.tensor([3, 29, 0, 3])
    query = database[positions]
    keys = [f"item {j}" for j in range(30)]
    if kind == "classes":
        classes = torch.arange(30) % 4
        relevance = Relevance.classes(classes[positions], classes)
    elif kind == "labels":
        labels = torch.rand(30, 5, generator=generator) < 0.3
        relevance = Relevance.labels(labels[positions], labels)
    else:
        relevance = Relevance.matrix(torch.rand(4, 30, generator=generator) < 0.4)
    wanted = relevance.rows(slice(None)).bool()
    query_keys = [*(keys[j] for j in positions[:3]), "not in the database"]
    h = distance_histograms(
        query, database, relevance, query_keys=query_keys, database_keys=keys, exclude_self=True
    )
    assert (h.exclude_self, h.excluded, h.overlap) == (True, 3, 3)
    for i in range(4):
        others = [j for j in range(30) if i == 3 or j != positions[i]]
        distances = (query[i] != database[others]).sum(1)
        assert h.items[i].tolist() == distances.bincount(minlength=9).tolist()
        assert h.relevant[i].tolist() == distances[wanted[i, others]].bincount(minlength=9).tolist()
    assert mean_average_precision(h, 29) == pytest.approx(float(average_precision(h, 29).mean()), **exactly)
    with pytest.raises(ValueError, match="1 to the 29 items"):
        mean_average_precision(h, 30)


def test_overlap_is_reported_and_changes_nothing_by_itself(generator):
    database = random_codes(10, 8, generator)
    relevance = Relevance.classes(torch.arange(2), torch.arange(10) % 2)
    keys = list(range(10))
    plain = distance_histograms(database[:2], database, relevance)
    reported = distance_histograms(database[:2], database, relevance, query_keys=[0, 99], database_keys=keys)
    assert (plain.overlap, reported.overlap, reported.excluded) == (None, 1, 0)
    assert torch.equal(plain.items, reported.items)
    assert reported.overlap == 1
    with pytest.raises(ValueError, match="got 1 of"):
        evaluate(reported)


def test_leaving_the_query_out_lowers_the_score_that_it_inflated():
    database = codes_at([0, 1, 1], 4)
    relevance = Relevance.classes(torch.tensor([0]), torch.tensor([0, 1, 0]))
    with_self = distance_histograms(database[:1], database, relevance)
    without = distance_histograms(
        database[:1], database, relevance, query_keys="a", database_keys="abc", exclude_self=True
    )
    assert mean_average_precision(with_self) == pytest.approx(11 / 12, **exactly)
    assert mean_average_precision(without) == pytest.approx(3 / 4, **exactly)


def test_the_order_of_queries_and_database_does_not_matter(generator):
    query, database = random_codes(20, 6, generator), random_codes(200, 6, generator)
    q, d = torch.randint(0, 4, (20,), generator=generator), torch.randint(0, 4, (200,), generator=generator)
    first = distance_histograms(query, database, Relevance.classes(q, d))
    a, b = torch.randperm(20, generator=generator), torch.randperm(200, generator=generator)
    second = distance_histograms(query[a], database[b], Relevance.classes(q[a], d[b]))
    assert torch.equal(first.items[a], second.items)
    assert torch.equal(first.relevant[a], second.relevant)
    values, others = evaluate(first, ks=(10,)), evaluate(second, ks=(10,))
    assert values.pop("overlap") is others.pop("overlap") is None
    assert values.pop("self") == others.pop("self") == "unknown"
    assert values == pytest.approx(others, **exactly)


@pytest.mark.parametrize("kind", ["classes", "labels", "matrix"])
def test_the_callers_arrays_are_not_changed(kind, generator):
    codes = random_codes(50, 12, generator, torch.int8)
    shared = {
        "classes": np.arange(50) % 3,
        "labels": np.random.default_rng(0).integers(0, 2, (50, 4)),
        "matrix": np.random.default_rng(0).integers(0, 2, (50, 50)).astype(bool),
    }[kind]
    before = codes.clone(), shared.copy()
    build = getattr(Relevance, kind)
    relevance = build(shared) if kind == "matrix" else build(shared, shared)
    keys = list(range(50))
    distance_histograms(codes, codes, relevance, query_keys=keys, database_keys=keys, exclude_self=True)
    assert torch.equal(codes, before[0])
    assert np.array_equal(shared, before[1])
    shared.flags.writeable = False
    assert (build(shared) if kind == "matrix" else build(shared, shared)).shape == (50, 50)


def test_values_do_not_depend_on_the_dtype_of_the_codes(generator):
    query, database = random_codes(9, 16, generator), random_codes(90, 16, generator)
    relevance = Relevance.classes(torch.arange(9) % 3, torch.arange(90) % 3)
    values = [
        evaluate(distance_histograms(query.to(dtype), database.to(dtype), relevance), ks=(5, 50))
        for dtype in (torch.int8, torch.float32, torch.float64)
    ]
    assert values[0] == values[1] == values[2]


# Bounds, several cut-offs, agreement with a sort.


def test_the_value_of_a_sort_lies_between_the_bounds(generator):
    query, database = random_codes(30, 16, generator), random_codes(400, 16, generator)
    relevance = Relevance.classes(torch.arange(30) % 5, torch.arange(400) % 5)
    h = distance_histograms(query, database, relevance)
    sort = reference.argsort_mean_average_precision(
        query.numpy(), database.numpy(), relevance.rows(slice(None)).numpy()
    )
    low, high = (float(b.mean()) for b in average_precision_bounds(h))
    assert low <= sort <= high
    assert low <= mean_average_precision(h) <= high
    assert mean_average_precision(h) == pytest.approx(sort, abs=0.02)


def test_several_cut_offs_at_once(generator):
    query, database = random_codes(9, 8, generator), random_codes(90, 8, generator)
    h = distance_histograms(query, database, Relevance.classes(torch.arange(9) % 3, torch.arange(90) % 3))
    ks = [1, 7, 90]
    assert precision_at_k(h, ks).tolist() == pytest.approx(
        [float(precision_at_k(h, [k])) for k in ks], **exactly
    )
    single = [float(recall_at_k(h, [k])) for k in ks]
    assert recall_at_k(h, ks).tolist() == pytest.approx(single, **exactly)
    assert float(recall_at_k(h, [90])) == pytest.approx(1, **exactly)
    assert expected_hits(h, ks).shape == (9, 3)
    assert precision_at_k(h, []).shape == (0,)
    assert mean_average_precision(h, 90) == pytest.approx(mean_average_precision(h), **exactly)
    assert mean_average_precision(h, 90, "hits") == pytest.approx(mean_average_precision(h), **exactly)


class LargestTensor(TorchFunctionMode):
    """Bytes of the largest tensor that torch gives back in this thread."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_function__(self, function, _, args=(), kwargs=None):
        made = function(*args, **kwargs or {})
        if isinstance(made, torch.Tensor):
            self.bytes = max(self.bytes, made.numel() * made.element_size())
        return made


def test_memory_does_not_grow_with_queries_times_database(unchecked, generator):
    """All blocks and chunks are as large as they get, so a larger task would need no more for them."""
    query, database = random_codes(3000, 16, generator), random_codes(70_000, 16, generator)
    relevance = Relevance.classes(torch.arange(3000) % 10, torch.arange(70_000) % 10)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with LargestTensor() as largest:
        tracemalloc.start()
        distance_histograms(query, database, relevance)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    torch.set_num_threads(threads)
    assert peak < 4 << 20
    # The codes themselves are the largest; 3000 x 70,000 distances would be 200 MiB as bytes.
    assert largest.bytes <= 70_000 * 16 * 8


# Refusals.


@pytest.mark.parametrize("k", [0, -1, 6, 1000])
def test_cut_offs_beyond_the_ranking_are_refused(k):
    h = ranking([0, 1, 1, 1, 2], [1, 0, 1, 0, 1])
    with pytest.raises(ValueError, match="k must be from 1 to the 5 items"):
        mean_average_precision(h, k)
    for metric in (precision_at_k, recall_at_k, expected_hits):
        with pytest.raises(ValueError, match="k must be from 1 to the 5 items"):
            metric(h, [1, k])
    with pytest.raises(ValueError, match="k must be"):
        mean_average_precision(h, k, "hits")


def test_unknown_denominators_and_radii_are_refused(unchecked):
    h = ranking([0, 1], [1, 0], bits=4)
    with pytest.raises(ValueError, match="denominator must be one of min, hits"):
        mean_average_precision(h, 1, "all")
    for radius in (-1, 5):
        with pytest.raises(ValueError, match="0 to the 4 bits"):
            precision_within_radius(h, radius)


def test_keys_must_fit():
    codes, relevance = torch.ones(2, 4), Relevance.matrix(torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="got no keys"):
        distance_histograms(codes, codes, relevance, exclude_self=True)
    with pytest.raises(ValueError, match="for neither"):
        distance_histograms(codes, codes, relevance, query_keys=["a", "b"])
    with pytest.raises(ValueError, match="for neither"):
        distance_histograms(codes, codes, relevance, query_keys=["a", "b"], database_keys=["a"])
    with pytest.raises(ValueError, match="keys must be distinct; got"):
        distance_histograms(codes, codes, relevance, query_keys=["a", "b"], database_keys=["a", "a"])


def test_relevance_must_cover_the_codes():
    relevance = Relevance.matrix(torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="relevance of 2 and 3"):
        distance_histograms(torch.ones(2, 4), torch.ones(2, 4), relevance)
    nothing = Relevance.classes(torch.zeros(0).long(), torch.zeros(3).long())
    with pytest.raises(ValueError, match="at least one query"):
        distance_histograms(torch.ones(0, 4), torch.ones(3, 4), nothing)


def test_codes_must_be_codes():
    relevance = Relevance.matrix(torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"-1 or \+1"):
        distance_histograms(torch.full((1, 4), 0.5), torch.ones(1, 4), relevance)


def test_relevance_of_the_wrong_kind_is_refused():
    ids = torch.arange(3)
    for wrong in (-ids, ids.double(), ids[:, None], ids > 0):
        with pytest.raises(ValueError, match="whole numbers from 0"):
            Relevance.classes(ids, wrong)
    sets = torch.ones(3, 4).long()
    for wrong in (sets[:, :3], sets[0], -sets):
        with pytest.raises(ValueError, match="0 or 1"):
            Relevance.labels(sets, wrong)
    for wrong in (torch.ones(3, 3), torch.ones(3, dtype=torch.bool)):
        with pytest.raises(ValueError, match="bool matrix"):
            Relevance.matrix(wrong)


@pytest.mark.usefixtures("unchecked")
def test_a_query_is_found_in_the_database_however_its_key_is_written():
    codes = torch.ones(3, 4)
    relevance = Relevance.matrix(torch.ones(3, 3, dtype=torch.bool))
    ways = ([0, 1, 2], ["0", "1", "2"], np.arange(3), torch.arange(3))
    for query_keys, database_keys in itertools.product(ways, ways):
        found = distance_histograms(
            codes, codes, relevance, query_keys=query_keys, database_keys=database_keys
        )
        assert found.overlap == 3
        with pytest.raises(ValueError, match="got 3 of 3 queries in the database"):
            evaluate(found)


@pytest.mark.usefixtures("unchecked")
def test_half_a_cut_off_is_refused():
    codes = torch.ones(3, 4)
    found = distance_histograms(codes, codes, Relevance.matrix(torch.ones(3, 3, dtype=torch.bool)))
    for k in (2.5, float("nan"), "2"):
        with pytest.raises(ValueError, match="and whole; got"):
            precision_at_k(found, [k])


@pytest.mark.usefixtures("unchecked")
def test_labels_come_in_any_order_of_memory_and_text_is_refused():
    assert Relevance.classes(np.arange(3)[::-1], [0, 1]).rows(slice(None)).tolist() == [
        [False, False],
        [False, True],
        [True, False],
    ]
    for text in (np.array(["cat"]), np.array([None]), ["cat"]):
        with pytest.raises(ValueError, match="Number the classes from 0"):
            Relevance.classes(text, np.array([0]))


def test_no_precision_is_above_its_ceiling_by_a_rounding():
    h = ranking([0, 1, 2], [1, 0, 0])
    assert precision_ceiling(h, [3]).tolist() == precision_at_k(h, [3]).tolist() == [1 / 3]


@pytest.mark.parametrize("k", [0, 4, -1, 2.0, True, None], ids=repr)
def test_no_metric_takes_a_cut_off_that_no_ranking_reaches(unchecked, k):
    h = ranking([0, 1, 1], [1, 0, 1])
    for metric in (precision_at_k, recall_at_k, precision_ceiling):
        with pytest.raises(ValueError, match="k must be from 1 to the 3 items"):
            metric(h, [k])


@pytest.mark.parametrize("radius", [-1, 3, 1.0, True], ids=repr)
def test_a_radius_is_a_whole_number_of_bits(unchecked, radius):
    with pytest.raises(ValueError, match="radius must be from 0 to the 2 bits of the codes, and whole"):
        precision_within_radius(ranking([0, 1, 1], [1, 0, 1], bits=2), radius)
