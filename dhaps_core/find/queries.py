"""What somebody gives to be found (paths, pixels, features) as the rows that the network reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float32

from dhaps_core.array_files import read_arrays
from dhaps_core.checks import read_fields, shown
from dhaps_core.data.features import read_features
from dhaps_core.data.images import ArrayImages, FileImages, Images
from dhaps_core.find.parts import ENCODER, WAY, ResultDamaged
from dhaps_core.hashing.backbones import Backbone, named_backbone
from dhaps_core.hashing.encoder import Encoder
from dhaps_core.hashing.inputs import Centring, ImageRows, Inputs, squares
from dhaps_core.hashing.plan import NetworkPlan
from dhaps_core.hashing.projection import Projection

__all__ = ["Reader", "pictures_in", "rows_in"]


def pictures_in(given: Iterable[Any]) -> Images | None:
    """The images that were given, as paths or as pixel arrays; None if they are neither.

    Raises:
        ValueError: if there are none, or of both kinds.
    """
    found = list(given)
    if not found:
        raise ValueError("images must be at least 1; got an empty list. Give paths or arrays.")
    paths = [isinstance(one, str | Path) for one in found]
    pixels = [
        isinstance(one, np.ndarray) and one.dtype == np.uint8 and one.ndim == 3 and one.shape[2] == 3
        for one in found
    ]
    if all(paths):
        files = [Path(one).expanduser() for one in found]
        return FileImages([str(file) for file in files], files)
    if all(pixels):
        return ArrayImages(found)
    if any(paths) or any(pixels):
        rule = "images must all be paths, or all uint8 arrays [h w 3]"
        raise ValueError(f"{rule}; got both kinds, or others beside them. Give one kind.")
    return None


def rows_in(given: Sequence[Any]) -> Float32[np.ndarray, "n d"]:
    """What is given as rows of features, one below the other.

    Raises:
        ValueError: if they are no numbers, or of several lengths.
    """
    rows = [np.asarray(one) for one in given]
    if len(shapes := {row.shape for row in rows}) > 1:
        rule = "rows of features must be of one length"
        raise ValueError(f"{rule}; got {shown(sorted(shapes))}. Make them with the same network.")
    return read_features(np.stack(rows))


@dataclass(eq=False)
class Reader:
    """From what is given to the rows of the network, as the collection went.

    Attributes:
        plan: of the network.
        encoder: of images; None where the collection came as features, or is read as pixels.
        centring: of features; None where images are read as pixels.
        backbone: the network that embeds; found by its name when it is first needed.
    """

    plan: NetworkPlan
    encoder: Encoder | None
    centring: Centring | None
    backbone: Backbone | None = None

    @classmethod
    def load(cls, folder: Path, about: dict[str, Any], backbone: Backbone | None) -> "Reader":
        """The reader of a result folder.

        Raises:
            ResultDamaged: if what it holds makes none.
        """
        try:
            plan = read_fields(NetworkPlan, about.get("plan"), "plan")
            arrays = read_arrays(folder / ENCODER)
            centring = None if plan.side else _centring(arrays, plan.features)
            told = about.get("encoder")
            encoder = None if told is None else _encoder(arrays, told)
        except (LookupError, TypeError, ValueError) as error:
            raise ResultDamaged(f"{folder} must hold what reads new images; got {error}. {WAY}") from error
        return cls(plan, encoder, centring, backbone)

    def __call__(self, given: Sequence[Any]) -> Inputs:
        """Rows of the network for paths, pixel arrays [h w 3], or rows of features [d].

        Raises:
            ValueError: if there are none, they are not what the collection came as, or another network's.
            UnreadableImage: if an image cannot be decoded.
            ImportError: if the network that embeds needs a package that is not installed.
        """
        images = pictures_in(given)
        if self.plan.side:
            if images is None:
                raise ValueError(f"images must be paths or pixel arrays; got {shown(given[0])}. Give these.")
            return ImageRows(squares(images, side=self.plan.side))
        assert self.centring is not None
        return self.centring(torch.from_numpy(self._features(given, images)))

    def _features(self, given: Sequence[Any], images: Images | None) -> npt.NDArray[np.float32]:
        if images is None:
            if self.encoder is not None:
                got = shown(given[0])
                raise ValueError(f"images must be paths or uint8 arrays [h w 3]; got {got}. Give the images.")
            rows = rows_in(given)
            if not np.isfinite(rows).all():
                raise ValueError("features must be finite; got NaN or infinity. Leave those rows out.")
            return rows
        if self.encoder is None:
            rule = "this run learned from arrays of features, without a network that makes them of an image"
            way = "Give rows of the same features, or make the collection with image_folder and embedded"
            raise ValueError(f"{rule}; got images. {way}.")
        if self.backbone is None:
            self.backbone = named_backbone(self.encoder.backbone)
        return self.encoder.features(images, self.backbone)


def _encoder(arrays: dict[str, npt.NDArray[Any]], told: dict[str, Any]) -> Encoder:
    names = ("origin", "mean", "spread", "components", "offset", "norm")
    values = [arrays[f"projection_{name}"].astype("f4" if name == "origin" else "f8") for name in names]
    d, k = len(values[0]), len(values[4])
    shapes = [(d,), (d,), (d,), (k, d), (k,), ()]
    if [value.shape for value in values] != shapes:
        raise ValueError(f"arrays of a projection that do not fit: {[value.shape for value in values]}")
    backbone, weights, size = (told[name] for name in ("backbone", "weights", "size"))
    texts = isinstance(backbone, str) and isinstance(weights, str)
    if not texts or type(size) is not int or not 1 <= size <= 4096:
        raise ValueError(f"an encoder {told!r:.80}")
    origin, mean, spread, components, offset, norm = values
    projection = Projection(origin, mean, spread, components, offset, float(norm))
    return Encoder(backbone, weights, size, projection)


def _centring(arrays: dict[str, npt.NDArray[Any]], features: int) -> Centring:
    origin = torch.from_numpy(arrays["centring_origin"].astype("f4"))
    mean = torch.from_numpy(arrays["centring_mean"].astype("f8"))
    if origin.shape != (features,) or mean.shape != (features,):
        got = f"{tuple(origin.shape)} and {tuple(mean.shape)}"
        raise ValueError(f"a centring of {got} for {features} features")
    return Centring(origin, mean, float(arrays["centring_norm"]))
