"""What training reads of the answers, and what they tell about single items."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import one_hot

from dhaps_core.hashing.foretelling import Told

__all__ = ["Supervision", "told_of"]

ODD = 0.15  # share of items known to be the same as no other, up to which they are left out


@runtime_checkable
class Supervision(Protocol):
    """What the loop reads of a snapshot (:class:`dhaps_core.answers.snapshot.Snapshot`).

    Attributes:
        supervised: positions [s] of the items that answers tell something about.
        classes: class of each item [n], -1 where unknown; or which classes each item has [n c].
        classed: whether the class or classes of each item are known; it may be known to have none.
        groups: number of the group of items known to be the same that each is in.
    """

    supervised: np.ndarray
    classes: np.ndarray
    classed: np.ndarray
    groups: np.ndarray

    @property
    def class_names(self) -> Sequence[str | int]:
        """Classes answered so far."""

    def relations(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """What is known of pairs, +1, -1 or 0, for positions that broadcast to the shape of the result."""


def told_of(supervision: Supervision, supervised: Tensor, pool: Tensor) -> Told | None:
    """What answers tell about single training items, by place in the pool [m]: classes, groups of the same.

    Columns are the classes that are answered, in their order, and behind them groups without a class.

    With several classes an item, pair answers tell nothing about single ones: sharing one is not transitive.
    """
    several = supervision.classes.ndim == 2
    names: tuple[str | None, ...] = tuple(map(str, supervision.class_names))
    if several:
        supervised = supervised[torch.tensor(supervision.classed)[supervised]]
        values = torch.tensor(supervision.classes)[supervised].bool()
    else:
        groups, classed = torch.tensor(supervision.groups), torch.tensor(supervision.classed)
        supervised = supervised[_not_odd(groups[supervised], classed[supervised])]
        place = len(supervision.class_names) + groups[supervised]
        place = torch.where(classed[supervised], torch.tensor(supervision.classes)[supervised], place)
        columns, group = place.unique(return_inverse=True)
        names = tuple(names[column] if column < len(names) else None for column in columns.tolist())
        values = one_hot(group).bool() if len(group) else torch.zeros(0, 0, dtype=torch.bool)
    if not values.numel():
        return None
    places = torch.empty(int(pool.max()) + 1, dtype=torch.long)
    places[pool] = torch.arange(len(pool))
    return Told(places[supervised], values, several, names)


def _not_odd(groups: Int[Tensor, " l"], classed: Bool[Tensor, " l"]) -> Bool[Tensor, " l"]:
    """Which items to learn from as groups: all, but for a few that are known to be the same as no other.

    An item that answers only set apart may be the first of its class, or placed by a wrong answer, or not
    yet compared with its own group. Among few items it is most often the first; where at most ODD of all are
    such, a class of its own would push it away from its like.
    """
    _, of, counts = groups.unique(return_inverse=True, return_counts=True)
    odd = (counts[of] == 1) & ~classed
    return ~odd if int(odd.sum()) <= ODD * len(odd) else torch.ones_like(odd)
