"""Every way to choose pairs, by name: :data:`STRATEGIES`.

To add one, write a small final class as ``contract`` says, in a file of its own. Named here, it works in
sessions, notebooks and grids, and ``tests/acquisition/test_strategies.py`` runs on it by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Int
from torch import Tensor

from dhaps_core.acquisition.badge import Badge
from dhaps_core.acquisition.calibration import Calibration
from dhaps_core.acquisition.closed import Closed
from dhaps_core.acquisition.contract import Pool, Strategy, paired, random_pairs
from dhaps_core.acquisition.covered import COVERED, TERMS, Cover, margin_uncertainty
from dhaps_core.acquisition.dropquery import DropQuery
from dhaps_core.acquisition.herding import MaxHerding, UncertaintyHerding
from dhaps_core.acquisition.means import pool_kernel_means
from dhaps_core.acquisition.peers import CoreSet, Margin, TypiClust
from dhaps_core.acquisition.problem import Problem, Weights
from dhaps_core.acquisition.published import Published
from dhaps_core.acquisition.select import Selection, select
from dhaps_core.codes import sign
from dhaps_core.pairs import Kernel, median_bandwidth
from dhaps_core.seeds import derive_generator

__all__ = ["BUDGETS", "READINGS", "STRATEGIES", "UNREAD", "WEIGHTS", "Dhaps", "Random", "Reading"]

Reading = Literal["covered", "closed", "published"]
READINGS: Mapping[str, type[Problem]] = {"closed": Closed, "published": Published}
"""Those that are a problem over pairs, with a certificate; ``covered`` picks items."""

WEIGHTS: Mapping[str, Weights] = {"covered": COVERED} | {
    name: problem.weights for name, problem in READINGS.items()
}
"""What the three terms weigh by default."""

BORNE_OUT = 0.5  # what held-out answers must be given for uncertainty by such probabilities to count in full
UNREAD = {"kernel": "invariant", "space": "embeddings", "bandwidth_scale": 0.1, "beta": 1.0}
"""Settings that only problems over pairs read, with their defaults: readings (``docs/readings.md``)."""


@final
@dataclass(frozen=True)
class Dhaps(Strategy):
    """DH-APS: the three terms of selection, by one of three readings.

    ``covered`` (ours, the default) covers what is uncertain (:mod:`dhaps_core.acquisition.covered`). The
    others, ``closed`` (ours) and ``published``, are problems over pairs that
    :func:`dhaps_core.acquisition.select.select` solves. What each takes the poster to mean:
    ``docs/readings.md``.

    Raises:
        ValueError: on settings that the reading does not read or has no definition for, or where no term
            weighs anything.
    """

    name: ClassVar[str] = "dhaps"
    any_order: ClassVar[bool] = True
    question: Literal["classes", "pairs", "both"]
    reading: Reading
    kernel: Kernel
    space: Literal["embeddings", "codes", "relaxed"]
    bandwidth_scale: float
    weights: Weights | None
    beta: float
    calibrated: bool | None
    implication: float

    def __post_init__(self) -> None:
        w = self.weights or WEIGHTS[self.reading]
        if self.reading == "covered":
            for name, usual in UNREAD.items():
                if (got := getattr(self, name)) != usual:
                    rule = f"the reading 'covered' has no {name}, which must stay {usual!r}"
                    raise ValueError(f"{rule}; got {got!r}. Leave it out, or take 'closed' or 'published'.")
        elif self.kernel != "invariant" and not hasattr(READINGS[self.reading], "kernel"):
            rule = f"the kernel {self.kernel!r} is defined for the reading 'published'"
            raise ValueError(f"{rule}; got {self.reading!r}. Set the reading, or take 'invariant'.")
        if not w.uncertainty + self.beta * (w.representativeness + w.diversity):
            rule, got = "one of the terms of selection must weigh something", f"{w} and beta {self.beta:g}"
            raise ValueError(f"{rule}; got {got}. Raise one, or set the acquisition to random.")

    def choose(self, pool: Pool, *, picks: int) -> Selection:
        """See :meth:`Strategy.choose`."""
        if self.reading == "covered":
            return self._cover(pool, picks)
        spaces = {"embeddings": pool.features, "codes": sign(pool.relaxed), "relaxed": pool.relaxed}
        space, draw = spaces[self.space], derive_generator(pool.seed, "bandwidth")
        bandwidth = median_bandwidth(space, scale=self.bandwidth_scale, generator=draw)

        def means() -> Tensor:
            draw = derive_generator(pool.seed, "means")
            return pool_kernel_means(space, bandwidth=bandwidth, generator=draw)

        reading = READINGS[self.reading]
        calibrated = self.question != "classes" if self.calibrated is None else self.calibrated
        labelled: dict[type[Problem], Callable[[], dict[str, Any]]] = {
            Closed: lambda: {"labelled_items": pool.labelled},
            Published: lambda: {"labelled_pairs": _labelled(pool), "kernel": self.kernel},
        }
        problem = reading(
            pool.relaxed,
            space=space,
            bandwidth=bandwidth,
            weights=self.weights or WEIGHTS[self.reading],
            beta=self.beta,
            candidates=pool.candidates,
            known=pool.known,
            credit=self.implication * pool.alike.to(pool.relaxed.dtype).log(),
            calibration=pool.calibration() if calibrated else Calibration(),
            means=pool.keep("kernel_means", means) if self.space == "embeddings" else means(),
            **labelled[reading](),
        )
        return select(problem, picks=picks, generator=pool.generator())

    def _cover(self, pool: Pool, picks: int) -> Selection:
        """Items in the order of what they add, paired in that order, with what each pair's terms were."""
        probabilities = pool.probabilities().double().cpu().numpy()
        weights, candidates = self.weights or WEIGHTS["covered"], pool.candidates.cpu().numpy()
        # What is uncertain by probabilities that held-out answers do not bear out says little.
        share = min(1.0, pool.borne_out() / BORNE_OUT)
        weights = replace(weights, uncertainty=share * weights.uncertainty)
        cover = Cover.of(
            pool.neighbourhood(), margin_uncertainty(probabilities), pool.labelled.tolist(), weights=weights
        )
        terms = cover.pick(candidates, 2 * picks)
        pairs = paired(pool, list(terms), picks=picks, generator=pool.generator())
        none = dict.fromkeys(TERMS, 0.0)
        scores = {
            name: pairs.new_tensor(
                [sum(terms.get(item, none)[name] for item in pair) for pair in pairs.tolist()],
                dtype=torch.float64,
            )
            for name in TERMS
        }
        return Selection(pairs, scores)


def _labelled(pool: Pool) -> Int[Tensor, "l 2"]:
    """The pairs of earlier rounds of both of whose items an answer tells something: L.

    A pick that nobody answered is not in it, nor one of which an item was answered "unsure". A pair that was
    itself answered "unsure" stays in it where other answers tell of both of its items.
    """
    pairs = pool.earlier()
    return pairs[torch.isin(pairs, pool.labelled).all(1)]


@final
@dataclass(frozen=True)
class Random(Strategy):
    """Random disjoint pairs: the baseline on the same footing."""

    name: ClassVar[str] = "random"

    def choose(self, pool: Pool, *, picks: int) -> Selection:
        """See :meth:`Strategy.choose`."""
        draw, known = pool.generator(), pool.known
        return Selection(random_pairs(pool.candidates, picks=picks, generator=draw, known=known))


ALL = Dhaps, Random, TypiClust, CoreSet, Margin, Badge, DropQuery, MaxHerding, UncertaintyHerding
STRATEGIES: Mapping[str, type[Strategy]] = {kind.name: kind for kind in ALL}
BUDGETS = (*STRATEGIES, "all", "none")
"""What a plan may name: the strategies, and what needs no choice, every item or none."""
