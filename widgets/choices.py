"""What a person may change between rounds, and the settings that follow from it."""

from dataclasses import dataclass, replace
from typing import Any

from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.strategies import UNREAD, WEIGHTS
from dhaps_core.session.settings import Settings

__all__ = ["Choices"]


@dataclass(frozen=True)
class Choices:
    """The settings that the stepper offers, the last three of them weights; everything else stays as it was.

    Example:
        >>> Choices.of(Settings()).uncertainty
        1.0
    """

    method: str
    bits: int
    picks: int
    kernel: str
    uncertainty: float
    representativeness: float
    diversity: float

    @classmethod
    def of(cls, settings: Settings) -> "Choices":
        """The choices that settings stand for; weights that were left to the reading are spelled out."""
        weights = settings.weights or _default_weights(settings)
        return cls(settings.method, settings.bits, settings.picks, settings.kernel, **vars(weights))

    def apply(self, settings: Settings) -> Settings:
        """Settings with these choices; the same ones if nothing was changed.

        The matched kernel is defined for the published reading only, so choosing it changes the reading too,
        and choosing the invariant one again goes back to the reading covered, which has its own defaults of
        what only pairs are chosen by. Weights that were the reading's own become those of the other one.

        Raises:
            ValueError: on a value out of range.
        """
        if self == Choices.of(settings):
            return settings
        weights: Weights | None = Weights(self.uncertainty, self.representativeness, self.diversity)
        if weights == _default_weights(settings):
            weights = None
        changes: dict[str, Any] = {"method": self.method, "bits": self.bits, "picks": self.picks}
        if self.kernel == "matched" != settings.kernel:
            changes |= {"kernel": self.kernel, "reading": "published"}
        elif self.kernel != settings.kernel:
            changes |= {**UNREAD, "kernel": self.kernel, "reading": "covered"}
        changed = replace(settings, **changes, weights=None)
        return changed if weights in (None, _default_weights(changed)) else replace(changed, weights=weights)


def _default_weights(settings: Settings) -> Weights:
    return WEIGHTS[settings.reading]
