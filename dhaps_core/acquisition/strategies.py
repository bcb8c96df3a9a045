"""Every way to choose pairs, behind one signature: what a strategy sees of a pool, and the pairs it picks.

To add one, write a small final class here or in a file of its own: a :class:`Strategy` (of pairs) or an
:class:`ItemStrategy` (of items, which are paired in the order of picking). Named in :data:`STRATEGIES`, it
works in sessions, notebooks and grids, and ``tests/acquisition/test_strategies.py`` runs on it by itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dhaps_core.acquisition.closed import Closed
from dhaps_core.acquisition.means import pool_kernel_means
from dhaps_core.acquisition.problem import Calibration, Known, Problem, Weights
from dhaps_core.acquisition.published import Published
from dhaps_core.acquisition.select import Selection, select
from dhaps_core.codes import sign
from dhaps_core.pairs import Kernel, median_bandwidth
from dhaps_core.seeds import derive_generator

__all__ = [
    "BUDGETS",
    "READINGS",
    "STRATEGIES",
    "Dhaps",
    "ItemStrategy",
    "Pool",
    "Random",
    "Reading",
    "Strategy",
    "TypiClust",
]

Reading = Literal["closed", "published"]
READINGS: Mapping[str, type[Problem]] = {"closed": Closed, "published": Published}


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
        labelled: items that take part in what is known.
        classes: class of each item, -1 where unknown; or, [n c], whether it has each class.
        alike: number of items known to be the same as each, itself included.
        earlier: gives the pairs [l 2] that were chosen in earlier rounds.
        calibration: gives the log-odds of "similar" fitted on the answers.
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
    keep: Callable[[str, Callable[[], Tensor]], Tensor]

    def generator(self) -> torch.Generator:
        """CPU generator of this round, the same at every call."""
        return derive_generator(self.seed, "select", self.round)


class Strategy(ABC):
    """A way to choose pairs: a dataclass whose fields are the settings of a run that it reads, by name.

    Attributes:
        name: as in :data:`STRATEGIES` and ``Settings(acquisition=...)``.
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
        generator, left = pool.generator(), pool.candidates.clone()
        items, at = self.items(pool, min(2 * picks, int(left.sum())), generator), pool.labelled.new_tensor
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
        return Selection(torch.cat([found, more]))


@final
@dataclass(frozen=True)
class Dhaps(Strategy):
    """DH-APS: what :func:`dhaps_core.acquisition.select.select` finds in the problem that settings describe.

    Raises:
        ValueError: on a kernel that the reading has no definition for, or where no term weighs anything.
    """

    name: ClassVar[str] = "dhaps"
    any_order: ClassVar[bool] = True
    question: Literal["classes", "pairs"]
    reading: Reading
    kernel: Kernel
    space: Literal["embeddings", "codes", "relaxed"]
    bandwidth_scale: float
    weights: Weights | None
    beta: float
    calibrated: bool | None
    implication: float

    def __post_init__(self) -> None:
        if self.kernel != "invariant" and not hasattr(READINGS[self.reading], "kernel"):
            rule = f"the kernel {self.kernel!r} is defined for the reading 'published'"
            raise ValueError(f"{rule}; got {self.reading!r}. Set the reading, or take 'invariant'.")
        w = self.weights or READINGS[self.reading].weights
        if not w.uncertainty + self.beta * (w.representativeness + w.diversity):
            rule, got = "one of the terms of selection must weigh something", f"{w} and beta {self.beta:g}"
            raise ValueError(f"{rule}; got {got}. Raise one, or set the acquisition to random.")

    def choose(self, pool: Pool, *, picks: int) -> Selection:
        """See :meth:`Strategy.choose`."""
        spaces = {"embeddings": pool.features, "codes": sign(pool.relaxed), "relaxed": pool.relaxed}
        space, draw = spaces[self.space], derive_generator(pool.seed, "bandwidth")
        bandwidth = median_bandwidth(space, scale=self.bandwidth_scale, generator=draw)

        def means() -> Tensor:
            draw = derive_generator(pool.seed, "means")
            return pool_kernel_means(space, bandwidth=bandwidth, generator=draw)

        reading = READINGS[self.reading]
        calibrated = self.question == "pairs" if self.calibrated is None else self.calibrated
        labelled: dict[type[Problem], Callable[[], dict[str, Any]]] = {
            Closed: lambda: {"labelled_items": pool.labelled},
            Published: lambda: {"labelled_pairs": pool.earlier(), "kernel": self.kernel},
        }
        problem = reading(
            pool.relaxed,
            space=space,
            bandwidth=bandwidth,
            weights=self.weights or reading.weights,
            beta=self.beta,
            candidates=pool.candidates,
            known=pool.known,
            credit=self.implication * pool.alike.to(pool.relaxed.dtype).log(),
            calibration=pool.calibration() if calibrated else Calibration(),
            means=pool.keep("kernel_means", means) if self.space == "embeddings" else means(),
            **labelled[reading](),
        )
        return select(problem, picks=picks, generator=pool.generator())


@final
@dataclass(frozen=True)
class Random(Strategy):
    """Random disjoint pairs: the baseline on the same footing."""

    name: ClassVar[str] = "random"

    def choose(self, pool: Pool, *, picks: int) -> Selection:
        """See :meth:`Strategy.choose`."""
        draw, known = pool.generator(), pool.known
        return Selection(random_pairs(pool.candidates, picks=picks, generator=draw, known=known))


@final
@dataclass(frozen=True)
class TypiClust(ItemStrategy):
    """The most typical items of the clusters in which nothing is labelled, by scikit-activeml.

    References:
        Hacohen, Dekel, Weinshall: Active Learning on a Budget, ICML 2022.
    """

    name: ClassVar[str] = "typiclust"
    extra: ClassVar[tuple[str, str] | None] = ("compare", "skactiveml")

    def items(self, pool: Pool, count: int, generator: torch.Generator) -> list[int]:
        """See :meth:`ItemStrategy.items`."""
        from skactiveml.pool import TypiClust as Query

        points, labels = pool.features.cpu().double().numpy(), np.full(len(pool.features), np.nan)
        labels[pool.labelled.cpu().numpy()] = 0.0  # it asks which items are labelled, not how
        # A cluster for each labelled and each picked item: it falls over where the latter are all empty.
        count = min(count, len(np.unique(points, axis=0)) - len(pool.labelled))
        if count < 1:
            return []
        query = Query(random_state=int(torch.randint(2**31 - 1, (), generator=generator)))
        candidates = pool.candidates.nonzero().flatten().cpu().numpy()
        found = query.query(points, labels, candidates=candidates, batch_size=count)
        return list(dict.fromkeys(found.tolist()))  # where its clusters are used up, it names items again


STRATEGIES: Mapping[str, type[Strategy]] = {kind.name: kind for kind in (Dhaps, Random, TypiClust)}
BUDGETS = (*STRATEGIES, "all", "none")
"""What a plan may name: the strategies, and what needs no choice, every item or none."""


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
