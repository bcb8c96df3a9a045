"""Metrics by splits and labels against counting by hand, and who may stand in whose ranking."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.data.sources import arrays
from dhaps_core.retrieval.average_precision import mean_average_precision
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.metrics import evaluate
from dhaps_core.retrieval.relevance import Relevance
from dhaps_core.session.evaluation import evaluate_codes
from tests import reference


def labelled_items(n, classes, *, queries, multi_label=False, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, (n, classes)) if multi_label else draw.integers(0, classes, n)
    return arrays(draw.normal(size=(n, 2)), labels, queries=queries, seed=seed)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(8, 30),
    bits=st.sampled_from([1, 2, 7, 64, 256, 300]),
    multi_label=st.booleans(),
    collapsed=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_value_of_a_round_is_what_counting_gives(n, bits, multi_label, collapsed, seed):
    items = labelled_items(n, 3, queries=2, multi_label=multi_label, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    codes = torch.where(torch.rand(n, bits, generator=draw) < 0.5, -1.0, 1.0)
    codes = torch.ones(n, bits) if collapsed else codes
    found = evaluate_codes(items, codes)
    query, database = items.splits["query"], items.splits["database"]
    label = items.labels if multi_label else np.eye(3, dtype=int)[items.labels]
    relevant = (label[query] @ label[database].T > 0).tolist()
    distances = reference.hamming(codes[query].int().tolist(), codes[database].int().tolist())
    m, radius = len(database), min(2, bits)
    rows = list(zip(distances, relevant, strict=True))
    for k in [k for k in (1, 2, 5, 10, 20) if k <= m]:
        hits = [
            sum(r for d, r in zip(ds, rs, strict=True) if d < sorted(ds)[k - 1])
            + (k - sum(d < sorted(ds)[k - 1] for d in ds))
            * np.mean([r for d, r in zip(ds, rs, strict=True) if d == sorted(ds)[k - 1]])
            for ds, rs in rows
        ]
        assert found["precision_at"][str(k)] == pytest.approx(np.mean(hits) / k)
        best = [sum(sorted(rs, reverse=True)[:k]) / k for _, rs in rows]
        assert found["precision_ceiling_at"][str(k)] == pytest.approx(np.mean(best))
        shares = [hit / sum(rs) if sum(rs) else 0.0 for hit, (_, rs) in zip(hits, rows, strict=True)]
        assert found["recall_at"][str(k)] == pytest.approx(np.mean(shares))
    for r in range(bits + 1):
        ball = [[rel for d, rel in zip(ds, rs, strict=True) if d <= r] for ds, rs in rows]
        precision = np.mean([np.mean(b) if b else 0.0 for b in ball])
        assert found["by_radius"]["precision"][r] == pytest.approx(precision)
        recall = np.mean(
            [sum(b) / sum(rs) if sum(rs) else 0.0 for b, (_, rs) in zip(ball, rows, strict=True)]
        )
        assert found["by_radius"]["recall"][r] == pytest.approx(recall)
        if r == radius:
            assert found[f"P@r{r}"] == pytest.approx(precision)
            assert found[f"empty_balls@r{r}"] == np.mean([not b for b in ball])
    threshold = [float(reference.threshold_average_precision(ds, [int(r) for r in rs])) for ds, rs in rows]
    assert found["threshold AP"] == pytest.approx(np.mean(threshold))
    assert found["P@all"] == pytest.approx(np.mean(relevant))
    assert found["queries_without_relevant"] == sum(not any(rs) for _, rs in rows)
    assert (found["queries"], found["database"], found["bits"]) == (2, m, bits)
    assert found["self"] == "no overlap"


def test_items_of_several_classes_have_graded_metrics_and_others_none():
    items = labelled_items(120, 4, queries=3, multi_label=True)
    query, database = items.splits["query"], items.splits["database"]
    m = len(database)
    codes = torch.ones(120, m)
    codes[database] = 1 - 2 * (torch.arange(m) < torch.arange(m)[:, None]).float()  # item j at distance j
    found = evaluate_codes(items, codes)
    labels = items.labels.astype(int)
    orders = (labels[query] @ labels[database].T).tolist()
    for k in (1, 2, 5, 10, 20, 50, 100):
        for name, metric in (
            ("ndcg_at", reference.ndcg),
            ("acg_at", reference.average_cumulative_gain),
            ("wap_at", lambda order, k: reference.weighted_average_precision(order, k, "min")),
        ):
            wanted = np.mean([float(metric(order, k)) for order in orders])
            assert found[name][str(k)] == pytest.approx(wanted)
    assert found["NDCG@100"] == found["ndcg_at"]["100"]
    hits = [float(reference.weighted_average_precision(order, 100, "hits")) for order in orders]
    assert found["WAP@100 (hits)"] == pytest.approx(np.mean(hits))
    plain = evaluate_codes(labelled_items(120, 4, queries=3), codes)
    assert not {"ndcg_at", "acg_at", "wap_at", "NDCG@all", "WAP@all", "ACG@all"} & set(plain)
    assert set(plain) < set(found)


def test_no_queries_or_no_labels_give_no_metrics():
    codes = torch.ones(8, 4)
    assert evaluate_codes(labelled_items(8, 2, queries=0), codes) == {}
    assert evaluate_codes(arrays(np.eye(8), queries=2, seed=0), codes) == {}


def overlapping():
    codes = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    return codes, Relevance.classes(torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1]))


def test_queries_in_their_own_rankings_are_refused_and_left_out_on_request():
    codes, relevance = overlapping()
    keys = {"query_keys": ["a", "b", "c"], "database_keys": ["a", "b", "c"]}
    with pytest.raises(ValueError, match="must not be in their own rankings; got 3 of 3 queries"):
        evaluate(distance_histograms(codes, codes, relevance, **keys))
    found = evaluate(distance_histograms(codes, codes, relevance, **keys, exclude_self=True))
    assert (found["self"], found["excluded"]) == ("excluded", 3)
    assert found["mAP@all"] == pytest.approx((1 + 0.75 + 0) / 3)


def test_one_overlapping_query_is_enough_to_refuse_a_round():
    items = labelled_items(20, 2, queries=4)
    items.splits["database"] = np.sort(np.append(items.splits["database"], items.splits["query"][0]))
    with pytest.raises(ValueError, match="got 1 of 4 queries in the database"):
        evaluate_codes(items, torch.ones(20, 4))


def test_without_keys_the_metrics_say_that_nobody_knows():
    codes, relevance = overlapping()
    assert evaluate(distance_histograms(codes, codes, relevance))["self"] == "unknown"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("wrong", [float("nan"), 0.0, 0.5, 2.0, float("inf")])
def test_codes_that_are_none_are_refused_by_every_door(wrong):
    items = labelled_items(20, 2, queries=4)
    codes = torch.ones(20, 4)
    codes[3, 1] = wrong
    with pytest.raises(ValueError, match=r"-1 or \+1"):
        evaluate_codes(items, codes)


def test_average_precision_divides_by_what_its_name_says():
    # swuxyj/DeepHash-pytorch#33: three retrieved of [+, -, +] against [+, -, -], cut at three.
    query = torch.ones(1, 4)
    database = torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, -1], [1, 1, -1, -1]])
    for relevant, hits, least in (([1, 0, 1], 5 / 6, 5 / 6), ([1, 0, 0], 1.0, 1.0)):
        h = distance_histograms(query, database, Relevance.matrix(torch.tensor([relevant]).bool()))
        assert mean_average_precision(h, 3, "hits") == pytest.approx(hits)
        assert mean_average_precision(h, 3, "min") == pytest.approx(least)
        assert {"mAP@3 (hits)", "mAP@3 (min)"} <= set(evaluate(h, ks=[3]))


def test_values_do_not_depend_on_threads():
    generator = torch.Generator().manual_seed(0)
    codes = torch.where(torch.rand(1500, 16, generator=generator) < 0.5, -1.0, 1.0)
    classes = torch.arange(1500) % 7
    before, found = torch.get_num_threads(), []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        h = distance_histograms(codes[:200], codes[200:], Relevance.classes(classes[:200], classes[200:]))
        found.append(evaluate(h, ks=[1, 100]))
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]
