"""After training: what a method that finds its binarisation on the training set may look at."""

from functools import cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from dhaps_core.codes import sign
from dhaps_core.hashing.methods.base import TrainingSet
from dhaps_core.hashing.network import HashNetwork, Inputs, encode
from dhaps_core.retrieval.average_precision import mean_average_precision
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.relevance import Relevance

__all__ = ["training_set"]


@runtime_checkable
class KnownPairs(Protocol):
    """The part of a snapshot that is read here."""

    def similarity_matrix(self, positions: np.ndarray) -> np.ndarray: ...


def training_set(
    network: HashNetwork,
    inputs: Inputs,
    supervision: KnownPairs,
    *,
    pool: Tensor,
    supervised: Tensor,
    generator: torch.Generator,
) -> TrainingSet:
    """The training set as a method sees it.

    Args:
        network: trained.
        inputs: rows by position.
        supervision: what is known of pairs.
        pool: positions of the training items.
        supervised: positions of the labelled ones.
        generator: CPU generator.
    """

    @cache
    def relevance(keys: tuple[int, ...]) -> Relevance:
        # A pair that nobody told about counts as not relevant.
        return Relevance.matrix(torch.from_numpy(supervision.similarity_matrix(np.array(keys))) > 0)

    def score(outputs: Tensor, positions: Tensor) -> float:
        codes, keys = sign(outputs), tuple(positions.tolist())
        histograms = distance_histograms(
            codes, codes, relevance(keys), query_keys=keys, database_keys=keys, exclude_self=True
        )
        return mean_average_precision(histograms)

    return TrainingSet(
        pool=pool,
        supervised=supervised,
        encode=lambda positions: encode(network, inputs, positions, batch=1024),
        score=score,
        generator=generator,
    )
