"""The contract between a hashing method and the training loop.

A method is final. It extends :class:`Objective` (a loss for the loop) or :class:`ClosedForm` (linear
algebra). What it has beside that, it says by the functions that it overrides: layers of its own, first
weights, a head beside the hash layer, a teacher, a binarisation that is found after training.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int8
from torch import Tensor, nn

from dhaps_core.checks import check_fields
from dhaps_core.hashing.network import HashNetwork
from dhaps_core.hashing.training_set import TrainingSet

__all__ = [
    "Batch",
    "Method",
    "Objective",
    "ClosedForm",
    "Evenly",
    "check_relations",
    "mean",
    "pair_mean",
    "quantisation",
    "standardised",
]


NO_SIZES: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Batch:
    """What one training step gives to a loss. The first ``l`` of the ``n`` rows are supervised.

    Attributes:
        outputs: the network's real-valued outputs z.
        similarity: of the supervised rows: +1 similar, -1 dissimilar, 0 unknown; its size is l.
        generator: CPU generator for losses that sample.
        classes: classes of the supervised rows.
        classed: which of them have known classes (none at all, possibly); by default those with a class.
        hidden: activations below the hash layer, for methods with a head.
        head: the method's head, or None.
        teacher: outputs of the teacher on a second view of the same rows, or None.
        network: the network itself, for penalties on its weights; None where a loss is tried by hand.
        foretold: probability that each two rows are the same, by what the answers foretell of all training
            items; None but for a method that follows it.
        progress: share of the training done, in [0, 1).

    Raises:
        ValueError: if the labels do not fit the rows.
    """

    outputs: Float[Tensor, "n b"]
    similarity: Int8[Tensor, "l l"]
    generator: torch.Generator
    classes: Bool[Tensor, "l c"] | None = None
    classed: Bool[Tensor, " l"] | None = None
    hidden: Float[Tensor, "n h"] | None = None
    head: nn.Module | None = None
    teacher: Float[Tensor, "n b"] | None = None
    network: HashNetwork | None = None
    foretold: Float[Tensor, "n n"] | None = None
    progress: float = 0.0

    def __post_init__(self) -> None:
        labelled, rows = len(self.similarity), len(self.outputs)
        if labelled > rows:
            raise ValueError(
                f"supervised rows must be among the batch's {rows}; got {labelled}. Give their outputs first."
            )
        check_relations(self.similarity)
        if self.classes is not None and len(self.classes) != labelled:
            rule = f"classes must have one row for each of the {labelled} supervised rows"
            raise ValueError(f"{rule}; got {len(self.classes)}.")

    @property
    def supervised(self) -> Float[Tensor, "l b"]:
        """Outputs of the supervised rows."""
        return self.outputs[: len(self.similarity)]


class Method(ABC):
    """A published method; use one of its two kinds.

    Attributes:
        name: as in :data:`dhaps_core.hashing.methods.METHODS`.
        labels: what it reads: nothing, relations of pairs (class labels give them too), or class labels.
        least_bits: shortest code that it can learn.
        most_bits: longest code that it can learn in a few GB of memory.
    """

    name: ClassVar[str]
    labels: ClassVar[Literal["none", "pairs", "classes"]]
    least_bits: ClassVar[int] = 1
    most_bits: ClassVar[int] = 4096

    def __post_init__(self) -> None:
        """Refuse weights and shares that are no finite numbers."""
        check_fields(self)

    def layers(
        self, features: int, bits: int, *, hidden: int, dropout: float, sizes: Mapping[str, int] = NO_SIZES
    ) -> nn.Sequential | int:
        """Its own layers between backbone and hash layer, weights still to be drawn; or the shared width.

        Args:
            features: that they read.
            bits: of the codes.
            hidden: width of the shared layer, by the settings.
            dropout: share dropped after it.
            sizes: of layers whose sizes follow from the answers, as :meth:`sizes` gave them.
        """
        return hidden

    def sizes(self, network: HashNetwork) -> dict[str, int]:
        """Sizes of the layers of a trained network that do not follow from the settings; most have none."""
        return {}

    def check(self, features: Float[Tensor, "m d"], *, bits: int) -> None:  # noqa: B027 - most learn from any
        """Refuse training items that it cannot learn from, before anybody answers a question.

        Raises:
            ValueError: saying what their features lack.
        """


@dataclass(frozen=True)
class Evenly:
    """Steps whose rows are drawn from all training items alike, known or not.

    Attributes:
        steps: of a training, at most those of the settings.
        rows: of a step.
        rate: peak of the learning rate.
    """

    steps: int
    rows: int
    rate: float


class Objective(Method):
    """A loss that the training loop minimises.

    Attributes:
        prior: whether the loop adds its similarity term on rows without labels. In a round without any answer
            a method that reads labels is trained by that term alone. One that reads none gets it from images
            only (``anchor`` of the settings).
        momentum: share of its weights, in [0, 1), that a teacher, a moving average of the network, keeps in a
            step; None: no teacher.
        evenly: how it learns from all training items alike, whether or not an answer is about them; None: a
            step has known items and others, as the settings say.
        decays: whether its loss penalises the squared weights itself; then the optimiser does not, too.
        follows: whether its loss reads :attr:`Batch.foretold`.

    Example:
        A whole method; its name in :data:`dhaps_core.hashing.methods.METHODS` makes it one for any run.

        >>> class Squared(Objective):
        ...     name, labels, prior = "squared", "pairs", True
        ...
        ...     def loss(self, batch):
        ...         u = batch.supervised.tanh()
        ...         off = (u @ u.T / u.shape[1] - batch.similarity).square()
        ...         return {"squared": pair_mean(off, batch.similarity)}
        >>> same = torch.ones(2, 2, dtype=torch.int8)
        >>> given = Batch(torch.tensor([[9.0, 0.0], [9.0, 0.0]]), same, torch.Generator())
        >>> Squared().loss(given)  # cosine 1/2 instead of 1
        {'squared': tensor(0.2500)}
    """

    prior: ClassVar[bool]
    momentum: float | None = None
    evenly: ClassVar[Evenly | None] = None
    decays: ClassVar[bool] = False
    follows: ClassVar[bool] = False

    @abstractmethod
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Named terms, each a scalar, whose sum is minimised."""

    def head(self, features: int, bits: int, classes: int) -> nn.Module | None:
        """A module that is trained beside the hash layer, weights still to be drawn; no code depends on it.

        It reads the activations below that layer, of so many features; classes are at least 1.
        """
        return None

    def initialise(self, network: HashNetwork, training: TrainingSet) -> None:
        """Set first weights from the training items, in place; they stay as drawn by default."""

    def binarise(self, network: HashNetwork, head: nn.Module | None, training: TrainingSet) -> None:
        """Set rotation and shift of the trained network (saved with its weights), in place; or leave them."""


class ClosedForm(Method):
    """Found by linear algebra from all training items at once, without a loss."""

    @abstractmethod
    def fit(self, training: TrainingSet) -> None:
        """Set the layers of the training set's network."""


def standardised(
    directions: Float[Tensor, "b d"], rows: Float[Tensor, "m d"]
) -> tuple[Float[Tensor, "b d"], Float[Tensor, " b"]]:
    """Weights along some directions and biases: outputs of the rows are centred, with mean square 1."""
    centre = rows.mean(0)
    spread = ((rows - centre) @ directions.T).square().mean().sqrt().clamp_min(1e-12)
    weight = (directions / spread).contiguous()
    return weight, -weight @ centre


def check_relations(similarity: Int8[Tensor, "r l"]) -> None:
    """Refuse relations other than +1, -1 and 0.

    Raises:
        ValueError: naming the range that was got.
    """
    if not similarity.numel():
        return
    low, high = (int(value) for value in similarity.aminmax())
    if not -1 <= low <= high <= 1:
        raise ValueError(
            f"similarity must be +1, -1 or 0; got values in {low} .. {high}. "
            "Use +1 for similar, -1 for dissimilar, 0 for unknown."
        )


def mean(values: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Mean of all values; 0 where there are none, with gradients of 0."""
    return values.sum() / max(1, values.numel())


def pair_mean(
    values: Float[Tensor, "l l"], similarity: Int8[Tensor, "l l"], *, least: float = 0.5, most: float = 0.5
) -> Float[Tensor, ""]:
    """Mean over the known pairs of two different rows, with bounds on what the similar ones weigh in it.

    With many classes most pairs are dissimilar, and a plain mean would hardly see the others. By default the
    two kinds weigh the same (a reading: ``docs/readings.md``). Where one is absent the other stands alone; 0
    where both are.

    Args:
        values: of the pairs.
        similarity: +1 similar, -1 dissimilar, 0 unknown.
        least: weight of the similar pairs, at least.
        most: their weight, at most; with 0 and 1 it is their share of the known pairs.
    """
    kinds = [(similarity == sign).fill_diagonal_(False) for sign in (1, -1)]
    similar, dissimilar = (int(kind.sum()) for kind in kinds)
    share = similar / max(1, similar + dissimilar)
    if similar and dissimilar:
        share = min(most, max(least, share))
    # A masked sum is several times as fast as gathering the values.
    sums = [(values * kind).sum() for kind in kinds]
    return share * sums[0] / max(1, similar) + (1 - share) * sums[1] / max(1, dissimilar)


def quantisation(u: Float[Tensor, "n b"]) -> Float[Tensor, ""]:
    """Mean of (|u| - 1)^2 = (u - sign(u))^2 over items and bits; 0 without items."""
    return mean((u.abs() - 1).square())
