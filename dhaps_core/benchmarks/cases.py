"""Selection and ranking as the benchmark notebook times them: one function for each thing that is timed."""

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import faiss
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.acquisition.means import pool_kernel_means
from dhaps_core.acquisition.published import LISTED, Published
from dhaps_core.acquisition.select import Selection, select
from dhaps_core.acquisition.shortlist import Shortlist
from dhaps_core.acquisition.strategies import READINGS, Reading
from dhaps_core.benchmarks.measuring import median_seconds
from dhaps_core.codes import pack, sign
from dhaps_core.pairs import median_bandwidth
from dhaps_core.retrieval.average_precision import mean_average_precision
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.relevance import Relevance

__all__ = [
    "RankingCase",
    "SelectionCase",
    "huge_pool",
    "made_features",
    "map_of_many_queries",
    "pool_features",
    "selection_of",
]


def made_features(n: int, dims: int = 256, *, clusters: int = 100) -> Float[Tensor, "n d"]:
    """Points around random centres, with mean square norm 1: for measuring time, not retrieval."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(clusters, dims, generator=generator)
    points = centres[torch.randint(clusters, (n,), generator=generator)]
    made: Tensor = (points + torch.randn(n, dims, generator=generator)) / (2 * dims) ** 0.5
    return made


def pool_features(path: str, n: int) -> Float[Tensor, "n d"]:
    """The first n rows of ``train`` in an .npz file, or made ones without a path.

    Raises:
        ValueError: if the file holds fewer rows.
    """
    if not path:
        return made_features(n)
    with np.load(path, allow_pickle=False) as stored:
        rows: Tensor = torch.from_numpy(stored["train"][:n].astype(np.float32))
    if len(rows) < n:
        raise ValueError(f"{path} must hold at least {n} train rows; got {len(rows)}. Give a smaller n.")
    return rows


def _product(left: Tensor, right: Tensor, *, block: int) -> None:
    out = torch.empty(block, len(right), device=right.device)
    for part in left.split(block):
        torch.mm(part, right.T, out=out[: len(part)])


@dataclass(frozen=True)
class SelectionCase:
    """A pool without labels.

    Attributes:
        features: the space of the reading ``closed``.
        relaxed: relaxed codes; their signs are the space of the reading ``published``.
        picks: q.
    """

    features: Float[Tensor, "n d"]
    relaxed: Float[Tensor, "n b"]
    picks: int = 256

    @classmethod
    def projected(
        cls, features: Float[Tensor, "n d"], *, bits: int = 32, picks: int = 256
    ) -> "SelectionCase":
        """A pool whose codes are a random projection of its features [n d]."""
        projection = torch.randn(features.shape[1], bits, generator=torch.Generator().manual_seed(0))
        return cls(features, torch.tanh(features @ projection * 2), picks)

    def to(self, device: str) -> "SelectionCase":
        """The same pool on a device."""
        return SelectionCase(self.features.to(device), self.relaxed.to(device), self.picks)

    @cached_property
    def codes(self) -> Float[Tensor, "n b"]:
        """Codes in {-1, +1}."""
        return sign(self.relaxed)

    def bandwidth(self, reading: Reading) -> float:
        """The narrow bandwidth that is the default of a run."""
        generator = torch.Generator().manual_seed(0)
        return median_bandwidth(self._space(reading), generator=generator, scale=0.1)

    def matmul(self) -> None:
        """The floor: the n x n x b product alone, a block at a time into the same memory."""
        _product(self.codes, self.codes, block=1024)

    def means(self, reading: Reading) -> Float[Tensor, " n"]:
        """Kernel means of the pool."""
        generator = torch.Generator().manual_seed(0)
        return pool_kernel_means(self._space(reading), bandwidth=self.bandwidth(reading), generator=generator)

    def published(self, means: Float[Tensor, " n"]) -> Published:
        """The problem of the reading ``published``."""
        return Published(self.relaxed, space=self.codes, bandwidth=self.bandwidth("published"), means=means)

    def scan(self, means: Float[Tensor, " n"]) -> Shortlist:
        """The one pass of the reading ``published`` over all pairs."""
        problem = self.published(means)
        return problem.shortlist(self.picks, problem.candidates, problem.labelled_pairs, most=LISTED)

    def select(self, reading: Reading, means: Float[Tensor, " n"]) -> Selection:
        """The picks of one round."""
        space, bandwidth = self._space(reading), self.bandwidth(reading)
        problem = READINGS[reading](self.relaxed, space=space, bandwidth=bandwidth, means=means)
        return select(problem, picks=self.picks)

    def published_seconds(self, means: Float[Tensor, " n"], *, repeats: int) -> dict[str, float]:
        """Median seconds of the product alone, the means, the pass, and a selection with given means."""
        return median_seconds(
            {
                "matmul": self.matmul,
                "means": lambda: self.means("published"),
                "scan": lambda: self.scan(means),
                "published": lambda: self.select("published", means),
            },
            repeats=repeats,
        )

    def _space(self, reading: Reading) -> Tensor:
        return {"closed": self.features, "published": self.codes}[reading]


def selection_of(path: str, n: int, bits: int, device: str) -> bool:
    """Whether a round of the reading ``published`` is certified: for its peak, in a process of its own."""
    case = SelectionCase.projected(pool_features(path, n), bits=bits).to(device)
    certificate = case.select("published", case.means("published")).certificate
    return certificate is not None and certificate.exact


def huge_pool(n: int, reading: Reading, device: str) -> dict[str, Any]:
    """Seconds and certificate of a selection among n random clustered codes of 32 bits."""
    relaxed = torch.tanh(3 * made_features(n, 32, clusters=1000))
    case = SelectionCase(sign(relaxed), relaxed).to(device)
    started = time.perf_counter()
    chosen = case.select(reading, case.means(reading))
    seconds = time.perf_counter() - started
    told = {name: getattr(chosen.certificate, name) for name in ("exact", "margin", "note")}
    return {"seconds": seconds, "picks": len(chosen.pairs), **told}


@dataclass(frozen=True)
class RankingCase:
    """Codes of queries and of a database of so many items, drawn at random, with ten classes, on a device."""

    queries: int = 1000
    items: int = 50_000
    bits: int = 32
    device: str = "cpu"

    @cached_property
    def codes(self) -> tuple[Float[Tensor, "q b"], Float[Tensor, "m b"]]:
        """Codes in {-1, +1}."""
        generator = torch.Generator().manual_seed(0)
        query = torch.randn(self.queries, self.bits, generator=generator)
        database = torch.randn(self.items, self.bits, generator=generator)
        return sign(query).to(self.device), sign(database).to(self.device)

    @cached_property
    def classes(self) -> tuple[Int[Tensor, " q"], Int[Tensor, " m"]]:
        """Class of each query and of each item."""
        generator = torch.Generator().manual_seed(1)
        query = torch.randint(10, (self.queries,), generator=generator)
        return query, torch.randint(10, (self.items,), generator=generator)

    def matmul(self) -> None:
        """The floor: the product of all codes alone, a block at a time into the same memory."""
        _product(*self.codes, block=64)

    def histograms(self) -> float:
        """Mean average precision by histograms, tie-aware."""
        return mean_average_precision(distance_histograms(*self.codes, Relevance.classes(*self.classes)))

    def argsort(self, queries: int) -> float:
        """Mean average precision of the first queries as the field computes it: a sort for each query."""
        (query, database), (wanted, classes) = self.codes, self.classes
        h, y = database.cpu().numpy(), classes.numpy()
        total = 0.0
        for i in range(queries):
            distances = 0.5 * (self.bits - h @ query[i].cpu().numpy())
            relevant = (y == int(wanted[i]))[np.argsort(distances)]
            places = np.flatnonzero(relevant) + 1
            total += float(np.mean(np.arange(1, len(places) + 1) / places))
        return total / queries

    def faiss(self, k: int = 100) -> None:
        """The k nearest items of each query by faiss's exact scan: a shorter answer than a whole ranking."""
        query, database = (pack(codes).cpu().numpy() for codes in self.codes)
        index = faiss.IndexBinaryFlat(8 * query.shape[1])
        index.add(database)
        index.search(query, k)


def map_of_many_queries(queries: int, items: int, bits: int, device: str) -> float:
    """Mean average precision of many queries: for its peak memory, in a process of its own."""
    return RankingCase(queries, items, bits, device).histograms()
