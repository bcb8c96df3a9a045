"""What every way to choose pairs must do; each test runs for all that are registered."""

import re
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from dhaps_core.acquisition import contract, strategies
from dhaps_core.acquisition.contract import ItemStrategy, Strategy, random_pairs
from dhaps_core.acquisition.select import select
from dhaps_core.acquisition.strategies import STRATEGIES
from dhaps_core.answers.questions import label_oracle
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.acquisition.given import everything, make_pool, on
from tests.given import tiny_items

SETTINGS = {
    "": Settings(),
    "published": Settings(reading="published", space="codes"),
    "matched": Settings(reading="published", kernel="matched", space="relaxed", question="pairs"),
}


CASES = [(name, how) for name in STRATEGIES for how in SETTINGS if fields(STRATEGIES[name]) or not how]
EXTRAS = [kind for kind in STRATEGIES.values() if kind.extra is not None]


def make(name, how):
    if STRATEGIES[name].extra is not None:
        pytest.importorskip(STRATEGIES[name].extra[1])
    return STRATEGIES[name].of(SETTINGS[how])


@pytest.fixture(params=CASES, ids=" ".join)
def strategy(request):
    """Each strategy with each of the settings; those that read none of these once."""
    return make(*request.param)


def check(pool, found, picks, feasible=None):
    """Disjoint pairs of candidates, none known; as many as were asked for, or none is left beside them."""
    pairs = found.pairs
    assert pairs.dtype == torch.long
    assert pairs.shape[1] == 2
    assert len(pairs) <= picks
    assert len(pairs.unique()) == pairs.numel()
    assert bool(pool.candidates[pairs].all())
    assert bool((pairs[:, 0] < pairs[:, 1]).all())
    left = pool.candidates.clone()
    left[pairs] = False
    rest = torch.combinations(left.nonzero().flatten()) if int(left.sum()) > 1 else pairs[:0]
    if pool.known is not None:
        assert not bool(pool.known(*pairs.T).any())
        rest = rest[~pool.known(*rest.T)]
    assert len(pairs) == picks or not len(rest)
    for values in found.scores.values():
        assert len(values) == len(pairs)
        assert bool(values.isfinite().all())
    assert found.certificate is None or found.scores


@pytest.mark.parametrize("picks", [1, 5, 16, 17, 30])
def test_pairs_are_disjoint_candidates_and_as_many_as_there_are(strategy, picks):
    pool = make_pool()
    found = strategy.choose(pool, picks=picks)
    check(pool, found, picks)
    assert len(found.pairs) == min(picks, 17)


@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_a_known_pair_is_never_picked(strategy, share):
    known = torch.rand(40, 40, generator=torch.Generator().manual_seed(1)) < share
    known |= known.T.clone()
    pool = make_pool(known=lambda a, b: known[a, b])
    for picks in (3, 17):
        check(pool, strategy.choose(pool, picks=picks), picks)
    assert strategy.choose(replace(pool, known=everything), picks=3).pairs.shape == (0, 2)


def test_picks_that_nobody_answered_are_not_among_the_labelled_pairs(monkeypatch):
    pool, given = make_pool(labelled=5), []
    pool = replace(
        pool, earlier=lambda: torch.tensor([[1, 0], [2, 9], [3, 4], [10, 11]])
    )  # 0 to 4 are labelled

    def look(problem, *, picks, **_):
        given.append(problem.labelled_pairs.tolist())
        return select(problem, picks=picks)

    monkeypatch.setattr(strategies, "select", look)
    make("dhaps", "published").choose(pool, picks=1)
    assert given == [[[1, 0], [3, 4]]]


def test_the_same_seed_picks_the_same(strategy):
    first, again = (strategy.choose(make_pool(), picks=5).pairs for _ in range(2))
    assert torch.equal(first, again)
    pool = make_pool()
    assert torch.equal(strategy.choose(pool, picks=5).pairs, strategy.choose(pool, picks=5).pairs)


def test_threads_do_not_matter(strategy):
    before, found = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        with threadpool_limits(threads):
            found.append(strategy.choose(make_pool(600, labelled=20), picks=10).pairs)
    torch.set_num_threads(before)
    assert torch.equal(*found)


def test_there_may_be_no_probabilities_though_items_are_labelled(strategy):
    pool = make_pool(probabilities=lambda: torch.zeros(40, 0))
    check(pool, strategy.choose(pool, picks=5), 5)


def test_probabilities_may_be_certain_or_all_the_same(strategy):
    for probabilities in (torch.eye(4).repeat(10, 1), torch.full((40, 4), 0.25)):
        pool = make_pool(probabilities=lambda probabilities=probabilities: probabilities)
        check(pool, strategy.choose(pool, picks=5), 5)


@pytest.mark.parametrize("case", [case for case in CASES if STRATEGIES[case[0]].any_order], ids=" ".join)
def test_the_order_of_the_pool_does_not_matter_where_that_is_claimed(case):
    strategy = make(*case)
    pool, order = make_pool(), torch.randperm(40, generator=torch.Generator().manual_seed(2))
    place = order.argsort()
    moved = {
        name: getattr(pool, name)[order] for name in ("relaxed", "features", "candidates", "classes", "alike")
    }
    kernel = pool.neighbourhood()[order.numpy()][:, order.numpy()]
    moved |= {"neighbourhood": lambda: kernel, "probabilities": lambda: pool.probabilities()[order]}
    moved |= {"labelled": place[pool.labelled].sort().values, "earlier": lambda: place[pool.earlier()]}
    found = strategy.choose(pool, picks=5).pairs
    again = order[strategy.choose(replace(pool, **moved), picks=5).pairs].sort(1).values
    assert found.tolist() == again.tolist()


def test_nothing_is_changed(strategy):
    pool = make_pool()
    tensors = {
        f.name: getattr(pool, f.name) for f in fields(pool) if isinstance(getattr(pool, f.name), torch.Tensor)
    }
    before = {name: values.clone() for name, values in tensors.items()}
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002 - nobody may touch it
    strategy.choose(pool, picks=5)
    assert all(torch.equal(tensors[name], values) for name, values in before.items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]  # noqa: NPY002


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_few_candidates_or_none_are_left(strategy, left):
    pool = make_pool(candidates=torch.arange(40) >= 40 - left)
    found = strategy.choose(pool, picks=5)
    check(pool, found, 5)
    assert len(found.pairs) == left // 2


def test_all_items_are_labelled_and_may_be_asked_about_again(strategy):
    pool = make_pool(
        labelled=40, candidates=torch.ones(40, dtype=torch.bool), known=lambda a, b: (a + b) % 3 == 0
    )
    check(pool, strategy.choose(pool, picks=5), 5)


def test_nothing_is_labelled(strategy):
    pool = make_pool(labelled=0)
    check(pool, strategy.choose(pool, picks=5), 5)


@pytest.mark.parametrize("distinct", [1, 2, 9])
def test_points_may_be_equal(strategy, distinct):
    same = torch.arange(40) % distinct
    pool = make_pool()
    pool = replace(pool, features=pool.features[same], relaxed=pool.relaxed[same])
    check(pool, strategy.choose(pool, picks=5), 5)
    assert torch.equal(strategy.choose(pool, picks=5).pairs, strategy.choose(pool, picks=5).pairs)


def test_items_may_have_several_classes(strategy):
    classes = torch.zeros(40, 3, dtype=torch.bool)
    classes[:6] = torch.eye(3, dtype=torch.bool).repeat(2, 1)
    pool = make_pool(classes=classes)
    assert torch.equal(strategy.choose(pool, picks=5).pairs, strategy.choose(make_pool(), picks=5).pairs)


def test_two_items_are_a_pair(strategy):
    pool = make_pool(2, labelled=0)
    assert strategy.choose(pool, picks=3).pairs.tolist() == [[0, 1]]


def test_the_device_does_not_matter(strategy, device):
    pool = make_pool()
    earlier, probabilities = pool.earlier().to(device), pool.probabilities().to(device)
    moved = replace(on(device, pool), earlier=lambda: earlier, probabilities=lambda: probabilities)
    found = strategy.choose(moved, picks=5)
    assert found.pairs.device.type == device.type
    assert found.pairs.tolist() == strategy.choose(pool, picks=5).pairs.tolist()


def test_strategies_are_final_and_named_as_they_are_known():
    for name, kind in STRATEGIES.items():
        assert kind.name == name
        assert kind.__final__
        assert issubclass(kind, Strategy)
        assert Settings(acquisition=name).acquisition == name
    with pytest.raises(
        ValueError, match=r"must be one of dhaps, .*; got 'typyclust'. Did you mean typiclust\?"
    ):
        Settings(acquisition="typyclust")


@pytest.mark.filterwarnings("ignore::dhaps_core.codes.ConstantBits")
@pytest.mark.parametrize("question", ["classes", "pairs"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_session_runs_to_its_end_and_reopened_asks_the_same(name, question, tmp_path):
    make(name, "")
    items = tiny_items(30)
    quick = TrainingSettings(least=2, most=2)
    settings = Settings(acquisition=name, question=question, picks=5, bits=8, hidden=0, training=quick)
    session = ActiveSession(tmp_path, items, settings)
    while session.finished is None:
        assert session.round < 40
        session.run_round(label_oracle(items))
        (tmp_path / f"round-{session.round:03d}" / "picks.json").unlink(missing_ok=True)
        chosen = session.propose().pairs
        (tmp_path / f"round-{session.round:03d}" / "picks.json").unlink()
        session = ActiveSession(tmp_path, items)
        assert session.propose().pairs == chosen
    # With one class an item, few answers to pairs tell about all of them.
    assert session.counts()["items_labelled"] == 22 - 22 % 2 or question == "pairs"


@pytest.mark.parametrize("kind", EXTRAS, ids=lambda kind: kind.name)
def test_a_package_that_is_not_installed_is_refused_before_anything_is_written(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(contract, "find_spec", lambda _: None)
    extra, module = kind.extra
    wanted = f"{kind.name!r} needs the optional extra {extra!r}; got no {module}. "
    wanted += f"Run: pip install 'dhaps[{extra}]'"
    with pytest.raises(ImportError, match=re.escape(wanted)):
        ActiveSession(tmp_path / "run", tiny_items(), Settings(acquisition=kind.name, bits=8, hidden=0))
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file() and path.stat().st_size]


def test_chosen_items_are_paired_in_their_order_but_for_known_pairs():
    class Fixed(ItemStrategy):
        def items(self, pool, count, generator):
            return [30, 9, 20, 11, 25][:count]

    pool = make_pool(known=lambda a, b: (a == 30) & (b == 9) | (a == 9) & (b == 30))
    assert Fixed().choose(pool, picks=1).pairs.tolist()[0] != [9, 30]
    assert Fixed().choose(pool, picks=2).pairs.tolist() == [[20, 30], [9, 11]]
    assert Fixed().choose(replace(pool, known=None), picks=2).pairs.tolist() == [[9, 30], [11, 20]]
    more = Fixed().choose(pool, picks=4).pairs  # 25 is left alone, so two random pairs follow
    assert more[:2].tolist() == [[20, 30], [9, 11]]
    assert len(more.unique()) == 8


def test_random_picks_are_disjoint_unknown_and_set_by_the_generator():
    candidates = torch.arange(20) < 11

    def known(a, b):
        return (a - b).abs() == 1

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return random_pairs(candidates, picks=9, generator=generator, known=known)

    pairs = draw(0)
    assert len(pairs) in {4, 5}
    assert len(pairs.unique()) == pairs.numel()
    assert not known(*pairs.unbind(1)).any()
    assert draw(0).tolist() == pairs.tolist() != draw(1).tolist()
