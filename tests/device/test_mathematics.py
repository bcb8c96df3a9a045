"""What the other device computes is what the CPU does: whole numbers and picks exactly, the rest closely."""

import pytest
import torch

from dhaps_core.acquisition.alignment import aligned_mmd_squared
from dhaps_core.acquisition.closed import Closed
from dhaps_core.acquisition.facility_location import Coverage, cover
from dhaps_core.acquisition.means import pool_kernel_means
from dhaps_core.acquisition.published import Published
from dhaps_core.acquisition.select import select
from dhaps_core.codes import bit_entropy, pack, sign, unpack
from dhaps_core.hamming import distance_counts, hamming_distance, marked_distance_counts
from dhaps_core.hashing.kernel_ridge import kernel_ridge, unit_kernel
from dhaps_core.hashing.quantisation import iterative_quantisation
from dhaps_core.pairs import item_kernel, kernel_means, median_bandwidth, pair_distance, pair_kernel
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.metrics import evaluate, expected_hits, precision_ceiling, precision_recall_curve
from dhaps_core.retrieval.relevance import Relevance
from tests.device.there import THERE, there

READINGS = [(Closed, {}), (Published, {}), (Published, {"kernel": "matched"})]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def codes(n, bits, seed=0):
    return sign(drawn(n, bits, seed=seed))


def alike(compute, *inputs, rtol=1e-9):
    """A function of tensors gives there what it gives here, on tensors that lie there."""
    here = compute(*inputs)
    with there():
        away = compute(*(one.to(THERE) for one in inputs))
        found = [one.cpu() for one in leaves(away)]
        assert all(one.device.type == torch.device(THERE).type for one in leaves(away))
    for mine, theirs in zip(leaves(here), found, strict=True):
        if mine.is_floating_point():
            close = rtol if mine.dtype == torch.float64 else max(rtol, 2e-5)
            torch.testing.assert_close(theirs, mine, rtol=close, atol=close)
        else:
            assert torch.equal(theirs, mine)


def leaves(found):
    return [found] if isinstance(found, torch.Tensor) else list(found)


def test_codes_and_their_bytes():
    alike(lambda u: (sign(u), pack(sign(u)), unpack(pack(sign(u)), u.shape[1])), drawn(100, 20))
    alike(bit_entropy, codes(100, 20))


@pytest.mark.parametrize("bits", [1, 12, 32, 64, 300])
def test_hamming_distances_and_their_counts(bits):
    alike(lambda a, b: (hamming_distance(a, b), distance_counts(a, b)), codes(70, bits), codes(500, bits, 1))


def test_counts_in_more_than_one_block():
    alike(distance_counts, codes(600, 8), codes(70_000, 8, 1))


@pytest.mark.parametrize("grades", [2, 5])
def test_marked_counts(grades):
    marks = torch.randint(grades, (70, 500), generator=torch.Generator().manual_seed(2))

    def compute(a, b, marks):
        return marked_distance_counts(a, b, lambda rows, items: marks[rows, items], grades=grades)

    alike(compute, codes(70, 16), codes(500, 16, 1), marks)


def relevances():
    several = torch.rand(2, 200, 40, generator=torch.Generator().manual_seed(3)) < 0.1
    ids = torch.arange(200) % 7
    yield "classes", Relevance.classes(ids[:50], ids)
    yield "labels", Relevance.labels(several[0, :50], several[1])
    yield "matrix", Relevance.matrix(several[0, :50, :1] | several[1, :, 0])


@pytest.mark.parametrize(("kind", "relevance"), list(relevances()))
def test_every_metric(kind, relevance):
    assert relevance.kind == kind
    keys = [list(range(50)), list(range(200))]

    def histograms(query, database):
        found = distance_histograms(
            query, database, relevance, query_keys=keys[0], database_keys=keys[1], exclude_self=True
        )
        ks = [1, 10, 100]
        return found, (found.grades, expected_hits(found, ks), precision_ceiling(found, ks))

    alike(lambda a, b: histograms(a, b)[1], codes(50, 12), codes(200, 12, 1))
    alike(lambda a, b: precision_recall_curve(histograms(a, b)[0]), codes(50, 12), codes(200, 12, 1))
    here = evaluate(histograms(codes(50, 12), codes(200, 12, 1))[0], ks=[1, 50])
    with there():
        moved = [one.to(THERE) for one in (codes(50, 12), codes(200, 12, 1))]
        away = evaluate(histograms(*moved)[0], ks=[1, 50])
    assert away.keys() == here.keys()
    for name, value in here.items():
        assert away[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


def test_kernels_of_items_and_pairs():
    alike(lambda a, b: item_kernel(a, b, bandwidth=1.5), drawn(30, 6), drawn(40, 6, seed=1))
    pairs = drawn(20, 2, 6), drawn(15, 2, 6, seed=1)
    for kind in ("invariant", "matched"):
        alike(lambda x, t, kind=kind: pair_kernel(x, t, bandwidth=1.5, kind=kind), *pairs)
    alike(pair_distance, *pairs)
    alike(lambda x, t: aligned_mmd_squared(x[:4], t[:4], bandwidth=1.0), *pairs)


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_kernel_means(scale):
    points = scale * drawn(900, 6)
    alike(lambda x: kernel_means(x, bandwidth=2.0 * scale, block=256), points.double())
    alike(lambda x: kernel_means(x, bandwidth=2.0 * scale), points)
    alike(lambda x: pool_kernel_means(sign(x), bandwidth=2.0), points.double())


def test_the_bandwidth_is_of_the_same_sample():
    points, found = drawn(3000, 6), []
    with there():
        for device in ("cpu", THERE):
            generator = torch.Generator().manual_seed(0)
            found.append(median_bandwidth(points.to(device), generator=generator, scale=0.3))
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize(("reading", "more"), READINGS)
@pytest.mark.parametrize("width", [0.1, 1.0])
def test_picks_are_the_same_and_so_is_what_is_certified(reading, more, width):
    relaxed = torch.tanh(drawn(400, 16))
    labelled = torch.arange(0, 40)

    def chosen(relaxed, space, labelled):
        told = (
            {"labelled_pairs": labelled.view(-1, 2)} if reading is Published else {"labelled_items": labelled}
        )
        candidates = torch.ones(len(relaxed), dtype=torch.bool, device=relaxed.device)
        candidates[labelled] = False
        problem = reading(relaxed, space=space, bandwidth=4 * width, candidates=candidates, **told, **more)
        found = select(problem, picks=12, generator=torch.Generator().manual_seed(0))
        return found.pairs, found.scores["total"]

    for space in (sign(relaxed), drawn(400, 6, seed=1)):
        alike(chosen, relaxed, space, labelled)


def test_a_list_over_several_tiles(monkeypatch):
    monkeypatch.setattr("dhaps_core.acquisition.shortlist.TILE", (128, 256))
    monkeypatch.setattr("dhaps_core.acquisition.shortlist.block_cells", lambda device, on_cpu: 200**2)
    relaxed = torch.tanh(drawn(1500, 16))

    def chosen(relaxed):
        problem = Published(relaxed, space=sign(relaxed), bandwidth=1.0)
        return select(problem, picks=30).pairs

    alike(chosen, relaxed)


def test_what_items_cover():
    def chosen(points, weights, labelled):
        everything = torch.arange(len(points), device=points.device)
        coverage = Coverage(points, bandwidth=1.0, population=everything, weights=weights, chosen=labelled)
        gains = coverage.gains(everything)
        picked = cover(coverage, everything, 9)
        return gains, torch.tensor(picked, device=points.device), coverage.covered

    alike(chosen, drawn(2500, 4), drawn(2500, seed=1).abs(), torch.arange(5))


def test_kernel_ridge():
    def machine(x, values, fold):
        kernel = unit_kernel(x, x, bandwidth=1.0)
        return kernel_ridge(kernel, values, fold)

    alike(machine, drawn(60, 8).double(), drawn(60, 3, seed=1).double(), torch.arange(60) % 5, rtol=1e-6)


def test_codes_turned_towards_their_signs():
    rows = drawn(200, 8).double() * torch.arange(8, 0, -1)
    alike(iterative_quantisation, rows - rows.mean(0), drawn(6, 8, seed=1).double(), rtol=1e-6)
