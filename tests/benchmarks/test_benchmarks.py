"""What the benchmark notebook compares does the same work; the notebook itself runs with the others."""

import numpy as np
import pytest

from dhaps_core.acquisition.quadratic import solve_exhaustive
from dhaps_core.benchmarks.cases import RankingCase, SelectionCase, huge_pool, made_features, pool_features
from dhaps_core.benchmarks.learning import learning_seconds
from dhaps_core.benchmarks.measuring import in_own_process, median_seconds
from dhaps_core.benchmarks.peers import peer_selections, quadratic_programme, small_form


def test_tasks_take_turns_after_one_run_for_nothing():
    order = []
    seconds = median_seconds({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=2)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert all(0 <= value < 1 for value in seconds.values())


def test_a_process_of_its_own_has_its_own_peak():
    _, small = in_own_process(np.zeros, 10)
    total, large = in_own_process(np.ones, 30_000_000)
    assert total.sum() == 30_000_000
    assert large - small > 200


def test_both_ways_to_rank_agree_up_to_ties():
    case = RankingCase(queries=20, items=400, bits=64)
    assert case.histograms() == pytest.approx(case.argsort(20), abs=0.003)
    case.faiss(5)
    case.matmul()


def test_the_programme_is_no_better_than_the_best_set():
    case, form = small_form(7, picks=2)
    best = form.value(solve_exhaustive(form))
    assert quadratic_programme(form) >= best - 1e-6
    ours = float(case.select("published", case.means("published")).scores["total"].sum())
    assert ours >= best - 1e-6


def test_a_case_gives_certified_picks_in_both_readings():
    case = SelectionCase.projected(made_features(300, 16), bits=16, picks=9)
    for reading in ("published", "closed"):
        chosen = case.select(reading, case.means(reading))
        assert len(chosen.pairs) == 9
        assert chosen.certificate.exact
    assert case.scan(case.means("published")).bound > 0
    found = huge_pool(400, "closed", "cpu")
    assert found["picks"] == 200
    assert found["exact"]


def test_each_step_of_learning_takes_time():
    seconds = learning_seconds(300, 20, "cpu")
    assert list(seconds) == ["graph", "learn", "encode"]
    assert min(seconds.values()) > 0


def test_features_come_from_a_file_that_is_large_enough(tmp_path):
    np.savez(tmp_path / "e.npz", train=np.ones((5, 3), np.float16))
    assert pool_features(str(tmp_path / "e.npz"), 4).shape == (4, 3)
    with pytest.raises(ValueError, match="must hold at least 6 train rows; got 5"):
        pool_features(str(tmp_path / "e.npz"), 6)


def test_peers_choose_as_many_items():
    pytest.importorskip("skactiveml", reason="the peers need the extra 'compare'")
    for name, choose in peer_selections(made_features(120, 8), picks=6).items():
        assert len(choose()) == 6, name
