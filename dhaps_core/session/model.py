"""From items and settings to a trained network and its outputs: one run's model."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.data.items import Items
from dhaps_core.hashing.affinity import Affinity
from dhaps_core.hashing.foretelling import Collection, Foretelling, Told
from dhaps_core.hashing.inputs import (
    Centring,
    ImageRows,
    Inputs,
    feature_rows,
    image_rows,
    images_of,
    pixel_references,
)
from dhaps_core.hashing.methods import METHODS
from dhaps_core.hashing.methods.base import NO_SIZES
from dhaps_core.hashing.methods.piq import ForetellingMethod
from dhaps_core.hashing.network import HashNetwork, encode
from dhaps_core.hashing.plan import NetworkPlan
from dhaps_core.hashing.stage import StageRows
from dhaps_core.hashing.supervision import told_of
from dhaps_core.hashing.training import Progress, train
from dhaps_core.seeds import derive_generator
from dhaps_core.session.settings import Settings

__all__ = ["Model"]


class Model:
    """What networks of a run read, how they are built and trained.

    Args:
        items: with features, or with images when ``settings.side`` is set.
        settings: of the run.
        device: where networks run.
        activations: folder of what layers that never change make of images (:mod:`dhaps_core.hashing.stage`).

    Raises:
        ValueError: if the method cannot learn from these items: before anything of the run is written.
        ImportError: if the network needs a package that is not installed.

    Attributes:
        references: features whose cosines the similarity term follows, and the space of selection.
        centring: what made them of the items' features; None where they are of pixels.
        plan: of the networks.
    """

    def __init__(self, items: Items, settings: Settings, device: torch.device, activations: Path) -> None:
        self.settings, self.device = settings, device
        self.method = METHODS[settings.method]()
        if settings.question == "both" and items.multi_label:
            rule = "the question 'both' places items among groups that are the same"
            raise ValueError(f"{rule}; got items of several classes, which have none. Ask for classes.")
        if settings.question == "pairs" and items.multi_label and isinstance(self.method, ForetellingMethod):
            rule = f"{settings.method} learns from groups of items that are the same"
            got = (
                "same / different answers about items of several classes, where sharing one is not transitive"
            )
            raise ValueError(f"{rule}; got {got}. Ask for classes, or train dpsh or pts3h.")
        self.pool = torch.from_numpy(items.splits["train"])
        pixels = None
        if settings.side and (settings.network == "residual_cnn" or items.features is None):
            pixels = image_rows(items, side=settings.side)
        self.centring: Centring | None = None
        if pixels is not None and items.features is None:
            self.references = pixel_references(pixels, self.pool)
        else:
            self.references, self.centring = feature_rows(items, self.pool)
        self.plan = NetworkPlan(
            method=settings.method,
            bits=settings.bits,
            features=0 if settings.side else self.references.shape[1],
            side=settings.side,
            network=settings.network,
            hidden=settings.hidden,
        )
        self.inputs = self._inputs(items, pixels, activations)
        self.build(0)
        self.method.check(self.references[self.pool], bits=settings.bits)

    def _inputs(self, items: Items, pixels: Tensor | None, activations: Path) -> Inputs:
        settings = self.settings
        if settings.side and settings.network == "efficientnet_lite0":
            return StageRows(images_of(items), side=settings.side, cache=activations, device=self.device)
        return self.references if pixels is None else ImageRows(pixels)

    def build(self, number: int, sizes: Mapping[str, int] = NO_SIZES) -> HashNetwork:
        """Network of a round with its initial weights; sizes as the method told them of the trained one."""
        generator = derive_generator(self.settings.seed, "weights", number)
        network = self.plan.build(generator=generator, dropout=self.settings.dropout, sizes=sizes)
        return network.to(self.device)

    def fit(
        self, snapshot: Snapshot, number: int, progress: Progress | None
    ) -> tuple[HashNetwork, dict[str, float]]:
        """Network trained from scratch on the answers, and its last losses."""
        network, inputs = self.build(number), self.inputs
        if isinstance(inputs, ImageRows | StageRows):
            inputs = inputs.augmented(derive_generator(self.settings.seed, "augment", number))
        losses = train(
            network,
            self.method,
            inputs,
            snapshot,
            pool=self.pool,
            references=self.references,
            settings=self.settings.training,
            generator=derive_generator(self.settings.seed, "train", number),
            progress=progress,
            plain=self.inputs,
            collection=self.collection,
        )
        return network, losses

    @cached_property
    def collection(self) -> Collection:
        """The training items as answers about some foretell the others."""
        return Collection(self.references[self.pool])

    @cached_property
    def affinity(self) -> Affinity:
        """How much likelier than by chance training items are near each other, by place in the pool."""
        return Affinity(self.collection.graph)

    def foretell(self, snapshot: Snapshot) -> Foretelling | None:
        """What the answers foretell of the training items; None while they tell of fewer than two classes.

        Its columns are the classes that training items are known to have, in the order of
        ``snapshot.class_names``, and behind them the groups of items that are known to be the same without a
        class, in the order of ``snapshot.groups``; without the few of one item that ``told_of`` leaves out.
        """
        told = self.told(snapshot)
        return None if told is None or told.values.shape[1] < 2 else self.collection.foretold(told)

    def told(self, snapshot: Snapshot) -> Told | None:
        """What the answers tell about single training items; None where nothing."""
        supervised = torch.tensor(snapshot.supervised)
        return told_of(snapshot, supervised[torch.isin(supervised, self.pool)], self.pool)

    def probabilities(self, snapshot: Snapshot) -> Float[Tensor, "m c"]:
        """Probabilities of :meth:`foretell`; [m 0] where there are none, or several classes an item."""
        foretold = None if snapshot.multi_label else self.foretell(snapshot)
        return torch.zeros(len(self.pool), 0) if foretold is None else foretold.probabilities

    def borne_out(self, snapshot: Snapshot) -> float:
        """How well answers about other items foretell those given, in [0, 1]; 0 where they cannot."""
        foretold = self.foretell(snapshot)
        return 0.0 if foretold is None else foretold.borne_out or 0.0

    def encode(self, network: HashNetwork) -> Tensor:
        """Outputs z of every item [n b], on the CPU."""
        return encode(network, self.inputs, batch=64 if self.settings.side else 4096)
