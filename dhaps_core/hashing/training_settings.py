"""How long and how fast to train: settings that are no part of any method, and what is usual of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Annotated

from dhaps_core.checks import Range, check_fields

__all__ = ["TrainingSettings", "USUAL"]

MOST_STEPS = 10**9
MOST_ROWS = 16_384  # of a step: losses keep a few matrices of rows x rows
MOST_WEIGHT = 1e6  # beyond it float32 keeps nothing of the other terms
MOST_ITEMS = 10**6


@dataclass(frozen=True)
class TrainingSettings:
    """Settings that are no part of any method; the defaults are those of a network on embeddings.

    The poster has lambda and MMD_S without a number, and no other of these: readings (``docs/readings.md``).

    Attributes:
        epochs: passes over the supervised items; the number of steps follows, within ``least`` and ``most``.
        least: fewest steps (few labels still need a trained head).
        most: most steps.
        batch: supervised items of a step.
        unlabelled_batch: items of a step for the terms that need no label.
        steps_without_labels: steps of a method without labels, but not more than ``most``.
        learning_rate: peak of the one-cycle schedule (AdamW). Where ``most`` cuts the number of steps it is
            raised in proportion, so that the weights can move as far, but not beyond ``highest_rate``.
        highest_rate: bound of that.
        decay: lambda of the penalty on the squared weights, decoupled as in AdamW; not for a method whose own
            objective has such a penalty.
        similarity: weight of the term that keeps code similarities near feature cosines on unlabelled items.
        anchor: its weight for methods without labels. Embeddings show by themselves which images are alike; a
            network that starts from nothing has only this term to learn it from.
        prior_items: number of items all of whose pairs must be known before they weigh as much as that term:
            with p known ordered pairs in a step it is multiplied by 1 + prior_items^2 / p, so that the first
            few answers do not undo the unsupervised start. Of similar and dissimilar pairs, p counts twice
            the scarcer kind, because their means weigh alike.
        mmd: weight of MMD_S between the codes of a step's unlabelled and of its labelled items: a term of
            DH-APS, whose rows in Table 1 have it with the weight 1, and of no other method.

    Raises:
        ValueError: on numbers that no training can use.
    """

    epochs: Annotated[int, Range(0, MOST_STEPS)] = 50
    least: Annotated[int, Range(1, MOST_STEPS)] = 200
    most: Annotated[int, Range(1, MOST_STEPS)] = 3000
    batch: Annotated[int, Range(1, MOST_ROWS)] = 256
    unlabelled_batch: Annotated[int, Range(1, MOST_ROWS)] = 256
    steps_without_labels: Annotated[int, Range(1, MOST_STEPS)] = 1000
    learning_rate: Annotated[float, Range(0, 1, open_low=True)] = 1e-3
    highest_rate: Annotated[float, Range(0, 1, open_low=True)] = 6e-3
    decay: Annotated[float, Range(0)] = 1e-2
    similarity: Annotated[float, Range(0, MOST_WEIGHT)] = 1.0
    anchor: Annotated[float, Range(0, MOST_WEIGHT)] = 0.0
    prior_items: Annotated[int, Range(0, MOST_ITEMS)] = 40
    mmd: Annotated[float, Range(0, MOST_WEIGHT)] = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        for low, high in (("least", "most"), ("learning_rate", "highest_rate")):
            if getattr(self, low) > getattr(self, high):
                got = f"{getattr(self, low)} and {getattr(self, high)}"
                raise ValueError(f"{low} must be at most {high}; got {got}. Raise {high} or lower {low}.")
        if self.highest_rate * self.decay >= 1:
            rule = "highest_rate times decay, what a weight loses in a step, must be below 1"
            raise ValueError(f"{rule}; got {self.highest_rate * self.decay:g}. Lower one of them.")

    def steps(self, supervised: int) -> int:
        """Number of steps for that many supervised items."""
        return min(self.most, self._wanted(supervised))

    def rate(self, supervised: int) -> float:
        """Peak learning rate for that many supervised items."""
        raised = self.learning_rate * self._wanted(supervised) / self.steps(supervised)
        return max(self.learning_rate, min(self.highest_rate, raised))

    def _wanted(self, supervised: int) -> int:
        return max(self.least, ceil(self.epochs * supervised / self.batch))


USUAL: Mapping[str, TrainingSettings] = {
    "embeddings": TrainingSettings(),
    "residual_cnn": TrainingSettings(
        least=150, most=1500, batch=128, unlabelled_batch=64,
        learning_rate=3e-3, highest_rate=3e-3, similarity=0.1, anchor=10.0,
    ),
    "efficientnet_lite0": TrainingSettings(
        least=100, most=300, batch=64, unlabelled_batch=64, prior_items=10, steps_without_labels=300,
        learning_rate=5e-4, highest_rate=5e-4, anchor=10.0,
    ),
}  # fmt: skip
"""By what is trained: a network on embeddings, or one of those that learn from images.

From images steps are fewer and dearer, and those of a pretrained network smaller. Colours tell classes badly,
so beside labels their cosines weigh a tenth: at full weight they hold the codes back. Where there are no
labels they weigh more: without them little ties the codes to what the images show (8,000 CIFAR-10 images, 300
steps: mAP of DH .157, with them .180; GraphBit .147 and .181; digits .14 and .60, .14 and .38). A step of
fine-tuning has a sixteenth of the usual pairs, so its similarity term weighs as a quarter of the items.
"""
