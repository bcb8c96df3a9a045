"""Metrics of graded relevance: by hand, against every order inside the ties, and against counting."""

from math import log2

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.retrieval.average_precision import average_precision, weighted_average_precision
from dhaps_core.retrieval.graded import average_cumulative_gain, evaluate_graded, ndcg
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.metrics import evaluate, precision_at_k
from dhaps_core.retrieval.relevance import Relevance, _set_bits
from tests import reference
from tests.retrieval.test_metrics import codes_at, exactly, random_codes, ranking


def graded(distances, grades, bits=None, *, classes=5):
    """Histograms of one query that has all classes, and items that have so many of them."""
    bits = bits or max(1, *distances)
    labels = torch.arange(classes) < torch.tensor(grades)[:, None]
    relevance = Relevance.labels(torch.ones(1, classes, dtype=torch.bool), labels)
    return distance_histograms(torch.ones(1, bits), codes_at(distances, bits), relevance)


# Values worked by hand.


def test_four_items_two_of_them_tied():
    h = graded([0, 1, 1, 2], [2, 1, 0, 1])
    assert h.grades.tolist() == [[[0, 0, 1], [1, 1, 0], [0, 1, 0]]]
    assert (h.items.tolist(), h.relevant.tolist(), h.shared.tolist()) == (
        [[1, 2, 1]],
        [[1, 1, 1]],
        [[2, 1, 1]],
    )
    gains = [float(average_cumulative_gain(h, k)) for k in (1, 2, 3, 4, None)]
    assert gains == pytest.approx([2, (2 + 1 / 2) / 2, 1, 1, 1], **exactly)
    # The orders 2 1 0 1 and 2 0 1 1: (2 + 3/2 + 4/4) / 3 and (2 + 3/3 + 4/4) / 3; cut at two, 2 1 and 2 0.
    assert float(weighted_average_precision(h)) == pytest.approx((3 / 2 + 4 / 3) / 2, **exactly)
    assert float(weighted_average_precision(h, 2, "min")) == pytest.approx((7 / 4 + 1) / 2, **exactly)
    assert float(weighted_average_precision(h, 2, "hits")) == pytest.approx((7 / 4 + 2) / 2, **exactly)
    second, fourth = 1 / log2(3), 1 / log2(5)
    assert float(ndcg(h, 1)) == 1
    assert float(ndcg(h, 2)) == pytest.approx((3 + second / 2) / (3 + second), **exactly)
    whole = (3 + second / 2 + 1 / 4 + fourth) / (3 + second + 1 / 2)
    assert float(ndcg(h)) == float(ndcg(h, 4)) == pytest.approx(whole, **exactly)


def test_the_best_order_has_ndcg_1_and_a_tie_of_all_does_not():
    assert float(ndcg(graded([0, 1, 2], [2, 1, 0]))) == 1
    assert float(ndcg(graded([1, 1, 1], [2, 1, 0]), 1)) == pytest.approx((3 + 1 + 0) / 3 / 3, **exactly)


def test_a_query_that_shares_no_class_counts_zero():
    query, database = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]]), np.array([[0, 1, 0], [0, 1, 1]])
    h = distance_histograms(torch.ones(3, 2), codes_at([0, 1], 2), Relevance.labels(query, database))
    best = 3 + 1 / log2(3)
    assert ndcg(h).tolist() == pytest.approx([0, (1 + 3 / log2(3)) / best, 0], **exactly)
    assert average_cumulative_gain(h, 1).tolist() == [0, 1, 0]
    assert weighted_average_precision(h).tolist() == pytest.approx([0, (1 + 3 / 2) / 2, 0], **exactly)
    assert evaluate_graded(h)["WAP@all"] == pytest.approx(5 / 12, **exactly)


def test_names_carry_cut_off_and_denominator():
    values = evaluate_graded(graded([0, 1, 1, 2], [2, 1, 0, 1]), ks=(2,))
    assert set(values) == {
        *("NDCG@all", "ACG@all", "WAP@all"),
        *("NDCG@2", "ACG@2", "WAP@2 (min)", "WAP@2 (hits)"),
    }
    assert values["WAP@2 (hits)"] == pytest.approx(15 / 8, **exactly)
    assert (values["ACG@2"], values["ACG@all"]) == pytest.approx((5 / 4, 1), **exactly)


# The closed formulas against every order inside the ties.


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=6))
def test_every_metric_is_the_mean_over_all_tie_orders(items):
    distances, grades = zip(*items, strict=True)
    h = graded(list(distances), list(grades), bits=3)
    n = len(items)

    def mean(metric):
        return pytest.approx(float(reference.expected(metric, distances, grades)), **exactly)

    for k in range(1, n + 1):
        for denominator in ("min", "hits"):
            wanted = mean(lambda o, k=k, d=denominator: reference.weighted_average_precision(o, k, d))
            assert float(weighted_average_precision(h, k, denominator)) == wanted
        gain = mean(lambda o, k=k: reference.average_cumulative_gain(o, k))
        assert float(average_cumulative_gain(h, k)) == gain
        assert float(ndcg(h, k)) == mean(lambda o, k=k: reference.ndcg(o, k))
    assert float(weighted_average_precision(h)) == float(weighted_average_precision(h, n))
    assert float(ndcg(h)) == float(ndcg(h, n))


def test_with_one_class_an_item_gains_are_precisions():
    distances, relevant = [0, 1, 1, 1, 2, 2], [1, 0, 1, 0, 1, 0]
    h = ranking(distances, relevant)
    for k, denominator in ((None, "min"), (3, "min"), (3, "hits"), (5, "hits")):
        plain, weighted = (f(h, k, denominator) for f in (average_precision, weighted_average_precision))
        assert torch.equal(plain, weighted)
    for k in range(1, 7):
        assert float(average_cumulative_gain(h, k)) == pytest.approx(float(precision_at_k(h, [k])), **exactly)


# Many queries, wide label sets, and what is left out.


@pytest.mark.parametrize("classes", [1, 5, 32, 33, 80])
def test_grades_are_the_numbers_of_shared_labels(classes, generator, device):
    query, database = (torch.rand(n, classes, generator=generator) < 0.4 for n in (13, 300))
    codes, others = random_codes(13, 9, generator), random_codes(300, 9, generator)
    relevance = Relevance.labels(query, database)
    shared = query.long() @ database.long().T
    assert relevance.rows(slice(None)).tolist() == shared.tolist()
    h = distance_histograms(codes.to(device), others.to(device), relevance)
    distances = (codes[:, None] != others).sum(2)
    for i in range(13):
        for grade in range(h.grades.shape[2]):
            wanted = distances[i][shared[i] == grade].bincount(minlength=10)
            assert h.grades[i, :, grade].tolist() == wanted.tolist()
    assert shared.max() < h.grades.shape[2] <= classes + 1


def test_more_shared_labels_than_a_byte_holds(generator):
    h = graded([0, 1, 1], [300, 2, 257], bits=2, classes=300)
    assert h.shared.tolist() == [[300, 259, 0]]
    assert float(average_cumulative_gain(h, 2)) == pytest.approx((300 + 259 / 2) / 2, **exactly)


def test_set_bits_of_a_tensor_are_those_of_an_array():
    words = torch.tensor([0, 1, -1, -(1 << 31), (1 << 31) - 1, 0x12345678, -0x12345678], dtype=torch.int32)
    wanted = [bin(word % (1 << 32)).count("1") for word in words.tolist()]
    assert _set_bits(words).tolist() == _set_bits(words.numpy()).tolist() == wanted


def test_the_query_itself_is_neither_ranked_nor_in_the_best_order():
    labels = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]])
    codes, relevance = codes_at([0, 1, 2, 2], 2), Relevance.labels(labels[:1], labels)
    keys = {"query_keys": "a", "database_keys": "abcd"}
    h = distance_histograms(codes[:1], codes, relevance, **keys, exclude_self=True)
    assert h.grades.tolist() == [[[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0]]]
    second, third = 1 / log2(3), 1 / 2
    assert float(ndcg(h)) == pytest.approx((1 + 3 / 2 * (second + third)) / (3 + second), **exactly)


def test_many_queries_are_those_of_one_after_the_other(generator):
    query, database = (torch.rand(n, 6, generator=generator) < 0.4 for n in (20, 200))
    codes, others = random_codes(20, 8, generator), random_codes(200, 8, generator)
    h = distance_histograms(codes, others, Relevance.labels(query, database))
    for k, denominator in ((None, "min"), (10, "min"), (50, "hits")):
        rows = [
            distance_histograms(codes[[i]], others, Relevance.labels(query[[i]], database)) for i in range(20)
        ]
        for metric in (
            lambda h, k=k, d=denominator: weighted_average_precision(h, k, d),
            lambda h, k=k: average_cumulative_gain(h, k),
            lambda h, k=k: ndcg(h, k),
        ):
            assert metric(h).tolist() == pytest.approx([float(metric(row)) for row in rows], **exactly)


def test_grades_change_no_metric_of_plain_relevance(generator):
    query, database = (torch.rand(n, 6, generator=generator) < 0.4 for n in (20, 200))
    codes, others = random_codes(20, 8, generator), random_codes(200, 8, generator)
    shares = (query[:, None] & database).any(2)
    both = [
        evaluate(distance_histograms(codes, others, relevance), ks=(1, 10, 200))
        for relevance in (Relevance.labels(query, database), Relevance.matrix(shares))
    ]
    assert both[0] == both[1]


@pytest.mark.parametrize("k", [0, 5, 1.5])
@pytest.mark.usefixtures("unchecked")
def test_cut_offs_beyond_the_ranking_are_refused(k):
    h = graded([0, 1, 1, 2], [2, 1, 0, 1])
    for metric in (ndcg, average_cumulative_gain, weighted_average_precision):
        with pytest.raises(ValueError, match="k must be from 1 to the 4 items"):
            metric(h, k)
