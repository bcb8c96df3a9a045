"""DropQuery: items whose class changes when features drop out, one of each cluster."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.acquisition.clusters import central_items
from dhaps_core.acquisition.contract import ItemStrategy, Pool

__all__ = ["DropQuery"]

DRAWS, RATE = 3, 0.75
LEAST_EACH = 25  # items to cluster, for each to be picked
ROWS = 8192


@final
@dataclass(frozen=True)
class DropQuery(ItemStrategy):
    """The items nearest to the centres of k-means among those on which the linear model changes its mind.

    Three times, three quarters of the features drop out. Items count whose class changes in most draws; where
    those are fewer than 25 for each pick, in fewer draws. The linear model is the one whose log-odds are
    nearest to those of the probabilities: the same one, where these come from a linear model. As long as
    there are no probabilities, centres of the whole pool, with which the authors start.

    References:
        Gupte, Aklilu, Nirschl, Yeung-Levy: Revisiting Active Learning in the Era of Vision Foundation Models,
        TMLR 2024.
    """

    name: ClassVar[str] = "dropquery"

    def items(self, pool: Pool, count: int, generator: torch.Generator) -> list[int]:
        """See :meth:`ItemStrategy.items`."""
        points, probabilities = pool.directions().double(), pool.probabilities().double()
        found = pool.candidates.nonzero().flatten()
        if probabilities.shape[1]:
            changes = _changes(points[found], _linear(points, probabilities), generator)
            most = DRAWS // 2
            while most and int((changes > most).sum()) < LEAST_EACH * count:
                most -= 1
            found = found[changes > most]
        if len(found) <= count:
            return found.tolist()
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        central = central_items(points[found].cpu().numpy(), count, seed=seed)
        return found[central].tolist()


def _linear(points: Float[Tensor, "n d"], probabilities: Float[Tensor, "n c"]) -> Float[Tensor, "e c"]:
    """Weights, and in the last row the bias, by least squares on the log-odds of every class."""
    logits = probabilities.clamp_min(1e-12).log()
    logits -= logits.mean(1, keepdim=True)  # the sum that a softmax divides by is not linear in features
    inputs = torch.cat([points, torch.ones_like(points[:, :1])], 1)
    square = inputs.T @ inputs
    square.diagonal().add_(1e-9 * len(inputs))  # features may depend on each other
    weights: Tensor = torch.linalg.solve(square, inputs.T @ logits)
    return weights


def _changes(
    points: Float[Tensor, "k d"], model: Float[Tensor, "e c"], generator: torch.Generator
) -> Int[Tensor, " k"]:
    """In how many draws each item is of another class than with all features."""
    changes = []
    for part in points.split(ROWS):
        whole = (part @ model[:-1] + model[-1]).argmax(1)
        kept = torch.rand((DRAWS, *part.shape), generator=generator) >= RATE
        dropped = part * kept.to(part.device) / (1 - RATE)
        changes.append(((dropped @ model[:-1] + model[-1]).argmax(2) != whole).sum(0))
    return torch.cat(changes) if changes else points.new_zeros(0, dtype=torch.long)
