"""Strategies of our peers, as scikit-activeml has them.

What it cannot run on 50,000 items stands in files of its own: ``badge``, whose gradients it writes out
(n x c x d numbers), and ``herding``, for which it keeps the kernels of all pairs (n x n). So does
``dropquery``: there it needs a classifier to run, and a pool has probabilities only.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dhaps_core.acquisition.clusters import turns
from dhaps_core.acquisition.contract import ItemStrategy, Pool

__all__ = ["CoreSet", "Margin", "TypiClust"]


@final
@dataclass(frozen=True)
class TypiClust(ItemStrategy):
    """The most typical items of the clusters in which nothing is labelled, by scikit-activeml.

    A cluster for each labelled and each picked item; where that is much work, k-means makes fewer turns.

    References:
        Hacohen, Dekel, Weinshall: Active Learning on a Budget, ICML 2022.
    """

    name: ClassVar[str] = "typiclust"
    extra: ClassVar[tuple[str, str] | None] = ("compare", "skactiveml")

    def items(self, pool: Pool, count: int, generator: torch.Generator) -> list[int]:
        """See :meth:`ItemStrategy.items`."""
        from skactiveml.pool import TypiClust as Query

        points, labels = _points(pool)
        # A cluster for each labelled and each picked item: it falls over where the latter are all empty.
        count = min(count, len(np.unique(points, axis=0)) - len(pool.labelled))
        if count < 1:
            return []
        clustering = {"max_iter": turns(len(points), len(pool.labelled) + count)}
        query = Query(random_state=_seed(generator), cluster_algo_dict=clustering)
        found = query.query(points, labels, candidates=_positions(pool.candidates), batch_size=count)
        return list(dict.fromkeys(found.tolist()))  # where its clusters are used up, it names items again


@final
@dataclass(frozen=True)
class CoreSet(ItemStrategy):
    """The item farthest from all labelled and picked ones, again and again, by scikit-activeml.

    Labelled items, where they may be asked about again, are never far from themselves.

    References:
        Sener, Savarese: Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018.
    """

    name: ClassVar[str] = "coreset"
    extra: ClassVar[tuple[str, str] | None] = ("compare", "skactiveml")

    def items(self, pool: Pool, count: int, generator: torch.Generator) -> list[int]:
        """See :meth:`ItemStrategy.items`."""
        from skactiveml.pool import CoreSet as Query

        points, labels = _points(pool)
        candidates = _positions(pool.candidates)
        candidates = candidates[np.isnan(labels[candidates])]
        if not len(candidates):
            return []
        query = Query(random_state=_seed(generator))
        found = query.query(points, labels, candidates=candidates, batch_size=min(count, len(candidates)))
        return [int(item) for item in found]


@final
@dataclass(frozen=True)
class Margin(ItemStrategy):
    """The items whose two most probable classes are the nearest to each other, by scikit-activeml.

    As long as there are no probabilities, random pairs.

    References:
        Scheffer, Decomain, Wrobel: Active Hidden Markov Models for Information Extraction, IDA 2001.
    """

    name: ClassVar[str] = "margin"
    extra: ClassVar[tuple[str, str] | None] = ("compare", "skactiveml")

    def items(self, pool: Pool, count: int, generator: torch.Generator) -> list[int]:
        """See :meth:`ItemStrategy.items`."""
        probabilities = pool.probabilities().cpu().double().numpy()
        if not probabilities.shape[1] or not count:
            return []
        from skactiveml.pool import uncertainty_scores
        from skactiveml.utils import simple_batch

        candidates = _positions(pool.candidates)
        # The strategy without its model: the probabilities are here already.
        scores = uncertainty_scores(probabilities[candidates], method="margin_sampling")
        found = candidates[simple_batch(scores, _seed(generator), batch_size=count)]
        return [int(item) for item in found]


def _points(pool: Pool) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Features, and which items are labelled: none of them asks how."""
    points, labels = pool.features.cpu().double().numpy(), np.full(len(pool.features), np.nan)
    labels[pool.labelled.cpu().numpy()] = 0.0
    return points, labels


def _positions(chosen: Tensor) -> npt.NDArray[np.int64]:
    return chosen.nonzero().flatten().cpu().numpy()


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**31 - 1, (), generator=generator))
