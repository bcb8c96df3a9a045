"""Everything that, with the items and the answers, determines a run; kept as JSON in its folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, Literal

from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.strategies import STRATEGIES, Reading
from dhaps_core.checks import Range, check_fields, one_of, read_fields
from dhaps_core.hashing.methods import METHODS
from dhaps_core.hashing.methods.base import ClosedForm, Method
from dhaps_core.hashing.methods.piq import ForetellingMethod
from dhaps_core.hashing.training_settings import USUAL, TrainingSettings
from dhaps_core.pairs import Kernel
from dhaps_core.session.presets import PRESETS

__all__ = ["Settings"]

# The grid of colours that pixel references are made of; the stride of EfficientNet.
SMALLEST_SIDE = {"residual_cnn": 8, "efficientnet_lite0": 32}
# What settings that were kept before these names existed meant by them.
ADDED: Mapping[str, Any] = {"schedule": ()}


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Attributes:
        seed: the one seed; everything drawn derives from it.
        bits: b, length of the codes.
        picks: q, pairs chosen in a round; for the question ``pairs`` its answers.
        schedule: picks of each round in place of q, the last number in all that follow; where there is none,
            q in every round.
        acquisition: how pairs are chosen, one of :data:`dhaps_core.acquisition.strategies.STRATEGIES`;
            ``random`` is the baseline on the same seeds.
        question: ``classes`` asks for the class of both items of a chosen pair, as the paper does;
            ``pairs`` asks whether two items are the same. Then the picks are q answers, which place the items
            of the chosen pairs among the groups found so far (:mod:`dhaps_core.session.placing`). With the
            reading ``published``, or several classes an item, the chosen pairs themselves are asked.
            ``both`` places items, too, and asks for a class where that tells more a second
            (:mod:`dhaps_core.session.worth`).
        method: what learns, one of :data:`dhaps_core.hashing.methods.METHODS`; if none is given, ``auto`` on
            embeddings, and from images ``dpsh``.
        reading: ``covered`` chooses items that cover what is uncertain
            (:mod:`dhaps_core.acquisition.covered`); ``closed`` and ``published`` choose pairs, and differ in
            which pairs count as labelled (:mod:`dhaps_core.acquisition.problem`). The next three, beta and
            implication are theirs.
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
            ImageNet weights (:class:`dhaps_core.hashing.image_networks.FineTuned`).
        hidden: width of the network's hidden layer.
        dropout: share dropped after it.
        training: if none is given, what is :data:`usual <dhaps_core.hashing.training_settings.USUAL>` of what
            is trained: embeddings, or with a side the network. Its numbers stay in a ``replace``.

    Raises:
        ValueError: on a value outside its range, or a name that is not known.
    """

    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    bits: Annotated[int, Range(1, 4096)] = 32
    picks: Annotated[int, Range(1, 10**9)] = 10
    schedule: tuple[Annotated[int, Range(1, 10**9)], ...] = ()
    acquisition: str = "dhaps"
    question: Literal["classes", "pairs", "both"] = "classes"
    method: str = None  # type: ignore[assignment]  # as `training`
    reading: Reading = "covered"
    kernel: Kernel = "invariant"
    space: Literal["embeddings", "codes", "relaxed"] = "embeddings"
    bandwidth_scale: Annotated[float, Range(1e-6, 1e6)] = 0.1
    weights: Weights | None = None
    beta: Annotated[float, Range(0, 1e6)] = 1.0
    calibrated: bool | None = None
    implication: Annotated[float, Range(0, 1e6)] = 0.5
    budget_items: Annotated[int, Range(0)] | None = None
    budget_answers: Annotated[int, Range(0)] | None = None
    side: Annotated[int, Range(0, 1024)] = 0
    network: Literal["residual_cnn", "efficientnet_lite0"] = "residual_cnn"
    hidden: Annotated[int, Range(0, 65_536)] = 1024
    dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.3
    training: TrainingSettings = None  # type: ignore[assignment]  # until what is trained is known to be sound

    def __post_init__(self) -> None:
        if unset := vars(self)["training"] is None:
            object.__setattr__(self, "training", USUAL["embeddings"])
        if vars(self)["method"] is None:
            object.__setattr__(self, "method", "auto" if self.side == 0 else "dpsh")
        check_fields(self)
        if unset and self.side:
            object.__setattr__(self, "training", USUAL[self.network])
        method = METHODS[one_of("method", self.method, METHODS)]
        self._check_method(method)
        STRATEGIES[one_of("acquisition", self.acquisition, STRATEGIES)].of(self)
        per_pick = {"budget_items": 2, "budget_answers": 2 if self.question == "classes" else 1}
        for name, least in per_pick.items():
            if 0 < (budget := getattr(self, name) or 0) < least:
                rule = f"{name} must be 0 or enough for one pair, {least}"
                raise ValueError(f"{rule}; got {budget}. Raise it, or set it to None for no end.")

    def _check_method(self, method: type[Method]) -> None:
        """Refuse what the method or its network cannot learn."""
        if self.side and issubclass(method, ClosedForm | ForetellingMethod):
            rule = f"{self.method} learns from embeddings"
            raise ValueError(f"{rule}; got side {self.side}. Set side to 0, or train follow.")
        Range(method.least_bits, method.most_bits).check(f"bits of {self.method}", self.bits)
        if self.side:
            Range(SMALLEST_SIDE[self.network]).check(f"side of {self.network}", self.side)
        if self.question != "classes" and method.labels == "classes":
            rule = f"{self.method} learns from class labels"
            raise ValueError(f"{rule}; got the question {self.question!r}. Ask for classes, or train pts3h.")
        if self.question == "both" and self.reading == "published":
            rule = "the reading 'published' asks about the pairs that it chose, and 'both' about others"
            raise ValueError(f"{rule}; got both. Ask for classes or pairs, or take another reading.")

    @classmethod
    def preset(cls, name: str, **given: Any) -> "Settings":
        """Settings of a preset; what is given beside it goes before what the preset says.

        A run keeps all values and not the name, so it replays whatever becomes of the preset; a row of
        Table 1 is named by the values, so one that departs from ``paper`` does not stand there as literal.

        Args:
            name: one of :data:`dhaps_core.session.presets.PRESETS`.
            given: settings, or numbers of their ``training``, by name. A ``training`` given as a whole is
                what the preset's numbers are put into.

        Raises:
            ValueError: on another name, and as :class:`Settings` does.
            TypeError: on a name that is neither a setting nor a number of the training.

        Example:
            >>> literal = Settings.preset("paper", bits=48, mmd=0.5)
            >>> literal.reading, literal.bits, literal.training.similarity, literal.training.mmd
            ('published', 48, 0.0, 0.5)
        """
        values = {**PRESETS[one_of("preset", name, PRESETS)], **given}
        own = {field.name for field in fields(TrainingSettings)}
        settings = cls(**{key: value for key, value in values.items() if key not in own})
        numbers = {key: value for key, value in values.items() if key in own}
        return replace(settings, training=replace(settings.training, **numbers))

    def picks_of(self, number: int) -> int:
        """Picks of a round, the first being round 1.

        Example:
            >>> settings = Settings(schedule=(5, 5, 10))
            >>> [settings.picks_of(number) for number in (1, 2, 3, 4)]
            [5, 5, 10, 10]
        """
        return self.schedule[min(number, len(self.schedule)) - 1] if self.schedule else self.picks

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return asdict(self) | {"schedule": list(self.schedule)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Settings":
        """Settings from what :meth:`to_json` gave, in this version or in one that had no schedule.

        Raises:
            ValueError: on a name that is not a setting (a typo, or a file of a newer version), on one that is
                missing, and on values that no settings have.
        """
        return read_fields(cls, {**ADDED, **stored} if isinstance(stored, Mapping) else stored, "settings")
