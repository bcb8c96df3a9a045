"""What a person may change between rounds, and the settings that follow from it."""

from dataclasses import dataclass, replace

from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.strategies import WEIGHTS
from dhaps_core.session.settings import Settings

__all__ = ["Choices"]


@dataclass(frozen=True)
class Choices:
    """The settings that the stepper offers, the last three of them weights; everything else stays as it was.

    Example:
        >>> Choices.of(Settings()).uncertainty
        0.03
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
        and choosing the invariant one again goes back to the reading covered.

        Raises:
            ValueError: on a value out of range.
        """
        if self == Choices.of(settings):
            return settings
        reading = settings.reading
        if self.kernel != settings.kernel:
            reading = "published" if self.kernel == "matched" else "covered"
        changed = replace(
            settings,
            method=self.method,
            bits=self.bits,
            picks=self.picks,
            kernel=self.kernel,  # type: ignore[arg-type]  # Settings checks it
            reading=reading,
            weights=None,
        )
        weights = Weights(self.uncertainty, self.representativeness, self.diversity)
        return changed if weights == _default_weights(changed) else replace(changed, weights=weights)


def _default_weights(settings: Settings) -> Weights:
    return WEIGHTS[settings.reading]
