"""Everything that, with the items and the answers, determines a run; kept as JSON in its folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from dhaps_core.methods.base import ClosedForm, Method
from dhaps_core.methods.dh import DH
from dhaps_core.methods.dpsh import DPSH
from dhaps_core.methods.dsh import DSH
from dhaps_core.methods.graphbit import GraphBit
from dhaps_core.methods.pts3h import PTS3H
from dhaps_core.methods.sdsh import SDSH
from dhaps_core.methods.ssdh import SSDH
from dhaps_core.methods.ssh import SSH
from dhaps_core.pool import Reading, Weights
from dhaps_core.spelling import hint
from dhaps_core.training import TrainingSettings

__all__ = ["METHODS", "Settings"]

METHODS: Mapping[str, type[Method]] = {
    method.name: method for method in (DH, GraphBit, SSH, SSDH, PTS3H, DSH, DPSH, SDSH)
}


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Attributes:
        seed: the one seed; everything drawn derives from it.
        bits: b, length of the codes.
        picks: q, pairs chosen in a round.
        acquisition: ``dhaps`` or ``random`` (the baseline on the same seeds).
        question: ``classes`` asks for the class of both items of a chosen pair, as the paper does;
            ``pairs`` asks whether the two are the same.
        method: name of the training objective, one of :data:`METHODS`.
        reading: which pairs count as labelled; see :mod:`dhaps_core.acquisition`.
        kernel: ``invariant`` or ``matched`` (the latter for the reading ``published``).
        space: what the kernel compares: ``embeddings``, ``codes`` or ``relaxed``.
        bandwidth_scale: 2 sigma^2 over the median squared distance of the space.
        weights: of uncertainty, representativeness, diversity; None takes the reading's default.
        beta: common factor of representativeness and diversity.
        calibrated: whether uncertainty uses the log-odds fitted on the answers instead of theta; None does so
            for the question ``pairs``, where it decides how many answers are "same".
        implication: credit for each item of a pair per log of the number of items known to be the same as it,
            so that answers which imply more come first; without pair answers it is 0 for every item.
        budget_items: items that may be labelled in all, or None; the run stops there.
        budget_answers: answers that may be given in all, or None.
        side: 0 trains on the embeddings; else end to end from images of that many pixels a side.
        network: what learns from images: ``residual_cnn`` from scratch, or ``efficientnet_lite0`` from its
            ImageNet weights (:class:`dhaps_core.backbones.FineTuned`).
        hidden: width of the network's hidden layer.
        dropout: share dropped after it.
        training: see :class:`dhaps_core.training.TrainingSettings`; with a side, start from its ``pixels()``
            or ``fine_tuning()``.

    Raises:
        ValueError: on a value outside its range, or a name that is not known.
    """

    seed: int = 0
    bits: int = 32
    picks: int = 10
    acquisition: Literal["dhaps", "random"] = "dhaps"
    question: Literal["classes", "pairs"] = "classes"
    method: str = "dpsh"
    reading: Reading = "closed"
    kernel: Literal["invariant", "matched"] = "invariant"
    space: Literal["embeddings", "codes", "relaxed"] = "embeddings"
    bandwidth_scale: float = 0.1
    weights: Weights | None = None
    beta: float = 1.0
    calibrated: bool | None = None
    implication: float = 0.5
    budget_items: int | None = None
    budget_answers: int | None = None
    side: int = 0
    network: Literal["residual_cnn", "efficientnet_lite0"] = "residual_cnn"
    hidden: int = 1024
    dropout: float = 0.3
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        choices = {
            "acquisition": ("dhaps", "random"),
            "question": ("classes", "pairs"),
            "method": tuple(METHODS),
            "reading": ("closed", "published"),
            "kernel": ("invariant", "matched"),
            "space": ("embeddings", "codes", "relaxed"),
            "network": ("residual_cnn", "efficientnet_lite0"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                got = getattr(self, name)
                advice = hint(got, allowed) or " Write one of these."
                msg = f"{name} must be one of {', '.join(allowed)}; got {got!r}.{advice}"
                raise ValueError(msg)
        if self.side and issubclass(METHODS[self.method], ClosedForm):
            rule = f"{self.method} is a closed form on embeddings"
            msg = f"{rule}; got side {self.side}. Set side to 0, or train another method."
            raise ValueError(msg)
        method = METHODS[self.method]
        for name, least in {"seed": 0, "bits": method.least_bits, "picks": 1, "side": 0, "hidden": 0}.items():
            if getattr(self, name) < least:
                of = f" of {self.method}" if name == "bits" and least > 1 else ""
                msg = f"{name}{of} must be at least {least}; got {getattr(self, name)}. Raise it."
                raise ValueError(msg)
        if not 0 <= self.dropout < 1:
            msg = f"dropout must be in [0, 1); got {self.dropout}."
            raise ValueError(msg)
        if self.question == "pairs" and method.labels == "classes":
            rule = f"{self.method} learns from class labels"
            msg = f"{rule}; got the question 'pairs'. Ask for classes, or train pts3h."
            raise ValueError(msg)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Settings":
        """Settings from what :meth:`to_json` gave.

        Raises:
            ValueError: on a name that is not a setting (a typo, or a file of a newer version).
        """
        unknown = set(stored) - {f.name for f in fields(cls)}
        if unknown:
            names = ", ".join(sorted(unknown))
            msg = f"settings must be known names; got {names}. Use the version that wrote them."
            raise ValueError(msg)
        values = dict(stored)
        values["training"] = TrainingSettings(**values.get("training", {}))
        if values.get("weights") is not None:
            values["weights"] = Weights(**values["weights"])
        return cls(**values)
