"""What every strategy is: what it sees of a pool, and what it must give.

A :class:`Strategy` chooses pairs, an :class:`ItemStrategy` items, which are paired in the order of picking.
What holds for all of them is tested by ``tests/acquisition/test_strategies.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from scipy import sparse
from torch import Tensor
from torch.nn.functional import normalize

from dhaps_core.acquisition.calibration import Calibration
from dhaps_core.acquisition.problem import Known
from dhaps_core.acquisition.select import Selection
from dhaps_core.seeds import derive_generator

__all__ = ["ItemStrategy", "Pool", "Strategy", "random_pairs"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """What a strategy may look at, and must not change; positions count from 0 in the pool.

    Attributes:
        relaxed: relaxed codes in [-1, 1] of the last round.
        features: what the items came with, the same in every round.
        candidates: items that may be picked.
        seed: of the run.
        round: number of the round.
        known: tells for broadcasting positions which pairs must not be asked; None: none.
        labelled: items that take part in what is known: not those of a pick that nobody answered, nor of one
            answered "unsure".
        classes: class of each item, -1 where unknown; or, [n c], whether it has each class.
        alike: number of items known to be the same as each, itself included.
        earlier: gives the pairs [l 2] that were chosen in earlier rounds, answered or not; which of them are
            labelled is a reading (``docs/readings.md``).
        calibration: gives the log-odds of "similar" fitted on the answers.
        probabilities: gives the probability of every item to be of each class, or of each group of items
            known to be the same, by the answers; rows sum to 1. [n 0] where fewer than two are known,
            or where items may have several.
        borne_out: gives the mean of what such probabilities give to the truth of known items, by the answers
            about others, in [0, 1].
        neighbourhood: gives the kernel of who stands for whom among the neighbours of an item
            (:attr:`dhaps_core.hashing.neighbours.NeighbourGraph.neighbourhood`), the same in every round.
        keep: gives what a function computes under a name once in a run: a number above 0 for each item.
    """

    relaxed: Float[Tensor, "n b"]
    features: Float[Tensor, "n d"]
    candidates: Bool[Tensor, " n"]
    seed: int
    round: int
    known: Known | None
    labelled: Int[Tensor, " s"]
    classes: Int[Tensor, " n"] | Bool[Tensor, "n c"]
    alike: Int[Tensor, " n"]
    earlier: Callable[[], Tensor]
    calibration: Callable[[], Calibration]
    probabilities: Callable[[], Float[Tensor, "n c"]]
    borne_out: Callable[[], float]
    neighbourhood: Callable[[], sparse.csr_matrix]
    keep: Callable[[str, Callable[[], Tensor]], Tensor]

    def generator(self) -> torch.Generator:
        """CPU generator of this round, the same at every call."""
        return derive_generator(self.seed, "select", self.round)

    def directions(self) -> Float[Tensor, "n d"]:
        """Features around their mean, scaled to length 1: their products are cosines. The mean stays 0."""
        centred = self.features - self.features.double().mean(0)
        return normalize(centred, dim=1).to(self.features.dtype)


class Strategy(ABC):
    """A way to choose pairs: a dataclass whose fields are the settings of a run that it reads, by name.

    Attributes:
        name: as in :data:`dhaps_core.acquisition.strategies.STRATEGIES` and ``Settings(acquisition=...)``.
        extra: the optional extra of this package that it needs, and the module that this brings; or None.
        any_order: whether it picks the same items from the pool in another order, but for ties.
    """

    name: ClassVar[str]
    extra: ClassVar[tuple[str, str] | None] = None
    any_order: ClassVar[bool] = False

    @classmethod
    def of(cls, settings: object) -> "Strategy":
        """The strategy that settings describe; ValueError where it is not defined for them."""
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: getattr(settings, name) for name in names})

    @classmethod
    def check_installed(cls) -> None:
        """Refuse to begin without a package.

        Raises:
            ImportError: saying how to install it.
        """
        if cls.extra is not None and find_spec(cls.extra[1]) is None:
            rule = f"the acquisition {cls.name!r} needs the optional extra {cls.extra[0]!r}"
            raise ImportError(f"{rule}; got no {cls.extra[1]}. Run: pip install 'dhaps[{cls.extra[0]}]'")

    @abstractmethod
    def choose(self, pool: Pool, *, picks: int) -> Selection:
        """At most ``picks`` disjoint pairs of candidates, none of them known, in the order of picking.

        There are fewer only where no feasible pair is left beside them.
        """


class ItemStrategy(Strategy):
    """A way to choose items: paired in the order of picking, each with the next that may be asked with it."""

    @abstractmethod
    def items(self, pool: Pool, count: int, generator: torch.Generator) -> list[int]:
        """Candidates in the order of picking, each once; where it names fewer, random pairs follow."""

    def choose(self, pool: Pool, *, picks: int) -> Selection:
        """See :meth:`Strategy.choose`."""
        generator = pool.generator()
        items = self.items(pool, min(2 * picks, int(pool.candidates.sum())), generator)
        return Selection(paired(pool, items, picks=picks, generator=generator))


def paired(pool: Pool, items: Sequence[int], *, picks: int, generator: torch.Generator) -> Int[Tensor, "q 2"]:
    """Items in pairs, each with the next that may be asked with it; if too few, random pairs follow."""
    items, left, at = list(items), pool.candidates.clone(), pool.labelled.new_tensor
    pairs: list[list[int]] = []
    while items and len(pairs) < picks:
        first = items.pop(0)
        fits = (one for one in items if pool.known is None or not pool.known(at([first]), at([one])))
        if (other := next(fits, None)) is not None:
            items.remove(other)
            pairs.append(sorted((first, other)))
    found = at(pairs).view(-1, 2)
    left[found] = False
    more = random_pairs(left, picks=picks - len(pairs), generator=generator, known=pool.known)
    return torch.cat([found, more])


def random_pairs(
    candidates: Bool[Tensor, " n"], *, picks: int, generator: torch.Generator, known: Known | None = None
) -> Int[Tensor, "q 2"]:
    """Random disjoint pairs of candidates, none of them known.

    There are fewer than ``picks`` only where no feasible pair is left beside them, and then at least half of
    the most that could be found.
    """
    # Every turn picks a pair or leaves out an item that has no partner left.
    left = candidates.nonzero().flatten()
    left = left[torch.randperm(len(left), generator=generator).to(left.device)]
    pairs = left.new_zeros((0, 2))
    while len(pairs) < picks and len(left) >= 2:
        couples = left[: 2 * min(picks - len(pairs), len(left) // 2)].view(-1, 2)
        if known is not None:
            couples = couples[~known(couples[:, 0], couples[:, 1])]
            if not len(couples):  # few pairs are left: look for any partner of the first item
                partners = left[1:][~known(left[:1], left[1:])]
                if not len(partners):
                    left = left[1:]
                    continue
                couples = torch.stack([left[0], partners[0]])[None]
        pairs = torch.cat([pairs, couples.sort(1).values])
        left = left[~torch.isin(left, couples.flatten())]
        left = left[torch.randperm(len(left), generator=generator).to(left.device)]
    return pairs
