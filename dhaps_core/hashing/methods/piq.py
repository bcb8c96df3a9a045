"""PIQ: features beside foretold class probabilities, quantised; solved, trained on, or followed (ours)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dhaps_core.checks import Range
from dhaps_core.codes import sign
from dhaps_core.hashing.foreteller import Foreteller, landmarks_of
from dhaps_core.hashing.foretelling import Told
from dhaps_core.hashing.methods.base import (
    NO_SIZES,
    Batch,
    ClosedForm,
    Evenly,
    Method,
    Objective,
    quantisation,
    standardised,
)
from dhaps_core.hashing.network import HashNetwork, relax
from dhaps_core.hashing.quantisation import iterative_quantisation
from dhaps_core.hashing.training_set import TrainingSet

__all__ = [
    "PIQ",
    "Auto",
    "Follow",
    "ForetellingMethod",
    "PIQNetwork",
    "Slope",
    "foretold_same",
    "probability_same",
]

FITTED = 20_000  # rows that the rotation is found on


class ForetellingMethod(Method):
    """What PIQ and the network that starts from it share: the layers, and their solution."""

    def layers(
        self, features: int, bits: int, *, hidden: int, dropout: float, sizes: Mapping[str, int] = NO_SIZES
    ) -> nn.Sequential:
        """A :class:`Foreteller`; before it is solved it knows no class."""
        return nn.Sequential(Foreteller(features, **sizes))

    def sizes(self, network: HashNetwork) -> dict[str, int]:
        """See :meth:`Method.sizes`."""
        return front_of(network).sizes


@final
@dataclass(frozen=True)
class PIQ(ForetellingMethod, ClosedForm):
    """Probability-informed quantisation: ITQ of [x, sqrt(2) p / |p|], for few answers.

    x are unit features and p the class probabilities that the answers foretell of every item, labelled or not
    (:mod:`dhaps_core.hashing.foretelling`): flat ones move nothing, as the mean is taken off. Pair answers
    count by groups of items that are known to be the same. Without two classes these are the codes of ITQ.
    It is ours, and takes about a second on 50,000 items.

    References:
        Gong, Lazebnik: Iterative Quantization, CVPR 2011, for what is done with the two together.
    """

    name, labels = "piq", "pairs"

    def fit(self, training: TrainingSet) -> None:
        """See :meth:`ClosedForm.fit`."""
        quantise(training)


@final
@dataclass(frozen=True)
class Auto(ForetellingMethod):
    """PIQ, and from ``least`` known items on the network that starts from it (ours).

    What was taken is told in the round's metrics.

    Args:
        least: items that answers tell something about, below which PIQ is taken. A few make probabilities
            that are too sure of themselves, and PIQ leans half on the features.
    """

    name, labels = "auto", "pairs"
    least: Annotated[int, Range(0)] = 80

    def taken(self, told: Told | None) -> "PIQ | PIQNetwork":
        """Which of the two learns from what is told."""
        return PIQ() if told is None or len(told.at) < self.least else PIQNetwork()


class Slope(nn.Module):
    """Log-odds that two items are the same, as a line in the similarity of their codes in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Parameter(torch.tensor([5.0, -3.0]))

    def forward(self, similarity: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
        """Slope * similarity + intercept."""
        slope, intercept = self.line
        odds: Tensor = slope * similarity + intercept
        return odds


@final
@dataclass(frozen=True)
class PIQNetwork(ForetellingMethod, Objective):
    """A hash layer that starts as that of PIQ and learns who is the same from what was foretold (ours).

    J = mean over the pairs of a step of the cross-entropy between s_ij = r_ij + (1 - r_ij) p_i . p_j and the
    logistic of a line in <h_i, h_j> / b, and ``quantisation`` times the mean of (u - h)^2, for h = sign(u)
    whose gradient is that of u (straight through). That two items are the same, given their probabilities, is
    p_i . p_j if they are apart; near items share a fate, r = max(0, cosine)^3. Where an answer tells, that
    counts. With several classes an item, p_i . p_j becomes 1 - prod_c (1 - p_ic p_jc), that they share one.

    A step has 128 training items, whichever they are: known ones are chosen, and not as the others.

    Args:
        quantisation: weight of the second term, which keeps outputs where the gradient reaches them.
    """

    quantisation: Annotated[float, Range(0)] = 0.1
    name, labels, prior = "piqnet", "pairs", False
    evenly = Evenly(steps=800, rows=128, rate=0.1)

    def head(self, features: int, bits: int, classes: int) -> nn.Module:
        """The line."""
        return Slope()

    def initialise(self, network: HashNetwork, training: TrainingSet) -> None:
        """Solve PIQ."""
        quantise(training)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of all pairs of the rows, and what signs lose."""
        assert batch.hidden is not None
        assert batch.network is not None
        front = front_of(batch.network)
        with torch.no_grad():
            p = front.of_activations(batch.hidden)
            same = foretold_same(batch.hidden[:, : front.features], p, several=front.several)
        return following(batch, same, quantised=self.quantisation)


@final
@dataclass(frozen=True)
class Follow(Objective):
    """Any network, trained on what the answers foretell of known and other items (ours).

    The loss is that of :class:`PIQNetwork`; probabilities and near items are those of the features that the
    run compares, whatever the network reads. So a network that reads images learns, from a pretrained one's
    features, about the items that nobody answered about.

    Args:
        quantisation: as there.
    """

    quantisation: Annotated[float, Range(0)] = 0.1
    name, labels, prior, follows = "follow", "pairs", False, True

    def head(self, features: int, bits: int, classes: int) -> nn.Module:
        """The line."""
        return Slope()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of all pairs of the rows, and what signs lose."""
        assert batch.foretold is not None
        return following(batch, batch.foretold, quantised=self.quantisation)


def following(batch: Batch, foretold: Float[Tensor, "n n"], *, quantised: float) -> dict[str, Tensor]:
    """Cross-entropy of what is foretold of all pairs, known ones as they are known, and what signs lose."""
    assert batch.head is not None
    known, labelled, same = batch.similarity, len(batch.similarity), foretold.clone()
    same[:labelled, :labelled] = torch.where(known == 0, same[:labelled, :labelled], (known > 0).to(same))
    u = relax(batch.outputs)
    codes = u + (sign(u) - u).detach()
    odds = batch.head(codes @ codes.T / u.shape[1])
    return {
        "foretold": binary_cross_entropy_with_logits(odds, same),
        "quantisation": quantised * quantisation(u),
    }


def foretold_same(x: Float[Tensor, "n d"], p: Float[Tensor, "n c"], *, several: bool) -> Float[Tensor, "n n"]:
    """Probability that each two items are the same: by class probabilities, but that near items share a fate.

    Args:
        x: unit features.
        p: class probabilities.
        several: whether an item may have several classes.
    """
    near = (x @ x.T).clamp_min(0) ** 3
    return near + (1 - near) * probability_same(p, p, several=several)


def probability_same(
    p: Float[Tensor, "n c"], others: Float[Tensor, "m c"], *, several: bool
) -> Float[Tensor, "n m"]:
    """That two items share a class, by the probabilities of each: 0 before any is known."""
    if not several:
        return p @ others.T
    together = (p[:, None] * others[None]).clamp_max(1 - 1e-6)
    return 1 - (-together).log1p().sum(2).exp()


def front_of(network: HashNetwork) -> Foreteller:
    """The layer below the hash layer of a network whose method is :class:`ForetellingMethod`."""
    (front,) = network.hidden
    assert isinstance(front, Foreteller)
    return front


@torch.no_grad()
def quantise(training: TrainingSet) -> None:
    """Give the training set's network the layers of PIQ, solved."""
    network, generator, told = training.network, training.generator, training.told
    rows, before, device = training.collection.rows, front_of(network), network.hash.weight.device
    classes = told.values.shape[1] if told is not None and told.values.shape[1] > 1 else 0
    foretold = None
    if classes and told is not None:
        with torch.enable_grad():
            foretold = training.collection.foretold(told)
    front = Foreteller(
        before.features,
        classes=classes,
        landmarks=landmarks_of(len(rows)) + len(foretold.centres) if foretold else 0,
        several=int(bool(classes) and told is not None and told.several),
    )
    network.learned = {}
    if foretold:
        front.learn(training.collection, foretold, generator=generator)
        trust = dict(zip(("graph", "regression", "kernels"), foretold.trust, strict=True))
        network.learned = {"foretold": foretold.borne_out, "trust": trust}
    some = rows[torch.randperm(len(rows), generator=generator)[:FITTED]]
    seen = torch.cat([front(part) for part in some.split(4096)])
    start = torch.randn(network.bits, seen.shape[1], generator=generator)
    weight, bias = standardised(iterative_quantisation(seen - seen.mean(0), start), seen)
    network.hidden = nn.Sequential(front).to(device)
    network.hash = nn.Linear(front.out_features, network.bits).to(device)
    network.hash.weight.copy_(weight)
    network.hash.bias.copy_(bias)
