"""The training set as a method may look at it before the first step and after the last; without queries."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.codes import sign
from dhaps_core.hashing.foretelling import Collection, Told
from dhaps_core.hashing.inputs import Inputs
from dhaps_core.hashing.network import HashNetwork, encode
from dhaps_core.retrieval.average_precision import mean_average_precision
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.relevance import Relevance

__all__ = ["TrainingSet"]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Training items, the network as it is now, and what the answers tell.

    Attributes:
        network: reads the items.
        inputs: rows by position, without augmentation.
        relations: what is known of pairs, +1, -1 or 0, for positions that broadcast to its shape.
        pool: positions of all training items, m of them.
        supervised: positions of those that answers tell something about.
        generator: CPU generator.
        told: what the answers tell about single training items, by place in the pool; None: nothing.
        seen: the training items as :func:`dhaps_core.hashing.foretelling.foretell` reads them, if they are at
            hand; else they are prepared where they are wanted.
    """

    network: HashNetwork
    inputs: Inputs
    relations: Callable[[np.ndarray, np.ndarray], np.ndarray]
    pool: Int[Tensor, " m"]
    supervised: Int[Tensor, " l"]
    generator: torch.Generator
    told: Told | None = None
    seen: Collection | None = None

    @cached_property
    def collection(self) -> Collection:
        """The training items as they are foretold."""
        return self.seen or Collection(self.inputs[self.pool])

    @torch.no_grad()
    def sample(self) -> Float[Tensor, "s d"]:
        """Backbone features of at most 2,048 drawn items, on the network's device.

        In training mode: a fresh batch normalisation has no statistics of its own yet.
        """
        chosen = self.pool[torch.randperm(len(self.pool), generator=self.generator)[:2048]]
        device = self.network.hash.weight.device
        return torch.cat([self.network.backbone(self.inputs[part].to(device)) for part in chosen.split(256)])

    def encode(self, positions: Int[Tensor, " s"]) -> Float[Tensor, "s b"]:
        """Outputs z of some items, on the CPU."""
        return encode(self.network, self.inputs, positions, batch=1024)

    def scorer(self, positions: Int[Tensor, " s"]) -> Callable[[Tensor], float]:
        """Mean average precision of outputs [s b] of some items among themselves, from what the answers tell.

        A pair that nobody told about counts as not relevant.
        """
        at, keys = positions.numpy(), positions.tolist()
        relevance = Relevance.matrix(torch.from_numpy(self.relations(at[:, None], at) > 0))

        def score(outputs: Tensor) -> float:
            codes = sign(outputs)
            histograms = distance_histograms(
                codes, codes, relevance, query_keys=keys, database_keys=keys, exclude_self=True
            )
            return mean_average_precision(histograms)

        return score
