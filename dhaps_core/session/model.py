"""From items and settings to a trained network and its outputs: one run's model."""

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import normalize

from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.data.items import Items
from dhaps_core.hashing.image_networks import FineTuned, ResidualCNN
from dhaps_core.hashing.inputs import ImageRows, Inputs, feature_rows, image_rows, pixel_references
from dhaps_core.hashing.methods import METHODS
from dhaps_core.hashing.network import HashNetwork, encode
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

    Raises:
        ValueError: if the method cannot learn from these items: before anything of the run is written.
        ImportError: if the network needs a package that is not installed.

    Attributes:
        references: features whose cosines the similarity term follows, and the space of selection.
    """

    def __init__(self, items: Items, settings: Settings, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.method = METHODS[settings.method]()
        self.pool = torch.from_numpy(items.splits["train"])
        pixels = image_rows(items, side=settings.side) if settings.side else None
        if pixels is not None and items.features is None:
            self.references = pixel_references(pixels, self.pool)
        else:
            self.references = feature_rows(items, self.pool)
        self.inputs: Inputs = self.references if pixels is None else ImageRows(pixels)
        self.build(0)
        self.method.check(self.references[self.pool], bits=settings.bits)

    def build(self, number: int) -> HashNetwork:
        """Network of a round with its initial weights."""
        settings, backbone = self.settings, None
        generator = derive_generator(settings.seed, "weights", number)
        if settings.side:
            fresh = settings.network == "residual_cnn"
            backbone = ResidualCNN(generator=generator) if fresh else FineTuned()
        features = backbone.features if backbone else self.references.shape[1]
        own = self.method.layers(features, settings.bits)
        network = HashNetwork(
            features,
            settings.bits,
            backbone=backbone,
            hidden=settings.hidden if own is None else own,
            dropout=settings.dropout,
            generator=generator,
        )
        return network.to(self.device)

    def fit(
        self, snapshot: Snapshot, number: int, progress: Progress | None
    ) -> tuple[HashNetwork, dict[str, float]]:
        """Network trained from scratch on the answers, and its last losses."""
        network, inputs = self.build(number), self.inputs
        if isinstance(inputs, ImageRows):
            inputs = ImageRows(inputs.pixels, derive_generator(self.settings.seed, "augment", number))
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
        )
        return network, losses

    def probabilities(self, snapshot: Snapshot) -> Float[Tensor, "n c"]:
        """Probability of every item to be of each class that an item of the pool is known to have.

        [n 0] where there are fewer than two such classes, or where items may have several.
        """
        rows = self.pool[snapshot.classed[self.pool.numpy()]]
        if snapshot.multi_label or len(np.unique(snapshot.classes[rows])) < 2:
            return self.references.new_zeros((len(self.references), 0))
        features = 10 * normalize(self.references, dim=1).numpy()
        model = LogisticRegression(C=0.1, max_iter=300).fit(features[rows], snapshot.classes[rows])
        return torch.from_numpy(model.predict_proba(features)).to(self.references.dtype)

    def encode(self, network: HashNetwork) -> Tensor:
        """Outputs z of every item [n b], on the CPU."""
        return encode(network, self.inputs, batch=256 if self.settings.side else 4096)
