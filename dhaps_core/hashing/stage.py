"""What layers that never change make of images, from both mirror views: computed once, kept on disk.

Fine-tuning goes through a network forwards and backwards many times, and only its upper layers change. So
the activations below them are kept beside the runs, shared by all that lie there. Of the augmentations of
images the mirror is left.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.data.images import Images
from dhaps_core.hashing.backbones import Backbone
from dhaps_core.hashing.image_networks import CUT, FineTuned
from dhaps_core.hashing.inputs import ImageRows, squares
from dhaps_core.hashing.kept_rows import KEY, rows_file, rows_folder, write_rows

__all__ = ["StageRows"]

SHARD = 512  # images in a file
BATCH = 64


class StageRows:
    """Images as rows that a :class:`FineTuned` goes on from: indexing by positions gives one float batch.

    They are kept by the content of each image: of a collection that has grown only what is new is computed.
    The first look at one image computes those missing of the 512 around it: for 60,000 images of 128 pixels
    all of them take a quarter of an hour of one core and 1.2 GB. Files are mapped, not read, into memory.
    What was computed does not depend on who asks first, nor on how many processes do.

    Args:
        images: n of them.
        side: of the squares that they are scaled to, pixels.
        cache: folder in which this network and side have one of their own.
        device: where what is missing is computed.
        generator: CPU generator of mirrored views; None: no image is mirrored.

    Raises:
        ImportError: as :class:`FineTuned`.
        ValueError: on indexing, if activations are not finite, or a file is not what was written.
    """

    def __init__(
        self,
        images: Images,
        *,
        side: int,
        cache: Path,
        device: torch.device,
        generator: torch.Generator | None = None,
    ) -> None:
        self._kept = _Kept(images, side, cache, device)
        self.generator = generator

    def __len__(self) -> int:
        return len(self._kept.images)

    def augmented(self, generator: torch.Generator) -> "StageRows":
        """The same rows, mirrored by chance."""
        rows = StageRows.__new__(StageRows)
        rows._kept, rows.generator = self._kept, generator
        return rows

    def __getitem__(self, positions: Int[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        views = torch.zeros(len(positions), dtype=torch.long)
        if self.generator is not None:
            views = torch.randint(2, (len(positions),), generator=self.generator)
        shape = self._kept.shape
        out = np.empty((len(positions), int(np.prod(shape))), dtype=np.float32)
        for row, position, view in zip(out, positions.tolist(), views.tolist(), strict=True):
            row[:] = self._kept.both(position)[view]
        return torch.from_numpy(out).view(-1, *shape)


class _Kept:
    """The activations of both views of each image, by its digest; see :class:`StageRows`."""

    def __init__(self, images: Images, side: int, cache: Path, device: torch.device) -> None:
        self.images, self.side, self.cache, self.device = images, side, cache, device
        self._network = FineTuned()
        self.shape = self._network.shape_of(side)
        self._views: dict[str, npt.NDArray[np.float16]] = {}
        self._taken: set[Path] = set()

    def both(self, position: int) -> npt.NDArray[np.float16]:
        """Activations [2 c*h*w] of an image and its mirror view; computed first where they are not kept."""
        digest = self._digests[position]
        if digest not in self._views:
            first = position - position % SHARD
            self._fill(range(first, min(first + SHARD, len(self.images))))
        return self._views[digest]

    @cached_property
    def _digests(self) -> tuple[str, ...]:
        return self.images.digests()

    def _fill(self, block: range) -> None:
        """Look again at what is there, and compute what is missing of some images."""
        for path in sorted(self._folder.glob("images-*.npy")):
            self._take(path)
        missing = {self._digests[i]: i for i in reversed(block) if self._digests[i] not in self._views}
        if not missing:
            return
        path = rows_file(self._folder, list(missing))
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                write_rows(self._folder, list(missing), self._computed(list(missing.values())))
        self._take(path)

    def _take(self, path: Path) -> None:
        """Map a file, once."""
        if path in self._taken:
            return
        rule = f"{path} must hold rows of {(width := KEY + 4 * int(np.prod(self.shape)))} bytes"
        try:
            held = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{rule}; got {error}. Delete it.") from error
        if held.dtype != np.uint8 or held.ndim != 2 or held.shape[1] != width:
            raise ValueError(f"{rule}; got {held.dtype} {list(held.shape)}. Delete it.")
        views = held[:, KEY:].view(np.float16).reshape(len(held), 2, -1)
        self._views |= {key.tobytes().hex(): both for key, both in zip(held[:, :KEY], views, strict=True)}
        self._taken.add(path)

    @torch.inference_mode()
    def _computed(self, at: list[int]) -> npt.NDArray[np.float16]:
        plain, network = ImageRows(squares(self.images, side=self.side, at=at)), self._network.to(self.device)
        parts = []
        for rows in torch.arange(len(at)).split(BATCH):
            x = plain[rows].to(self.device)
            both = torch.stack([network.lower(x), network.lower(x.flip(3))], 1)
            parts.append(both.flatten(3).half().cpu())
        found = torch.cat(parts)
        if not bool(found.isfinite().all()):
            raise ValueError(f"activations must be finite in float16; got others, of the images at {at}.")
        return found.numpy()

    @cached_property
    def _folder(self) -> Path:
        """Sub-folder for this network and side."""
        settings = {
            "network": f"efficientnet-lite0, stem and first {CUT} blocks",
            "weights": Backbone("efficientnet-lite0", self._network.pooled).weights_hash(),
            "side": self.side,
            "preparation": "scaled to fit, grey borders",
            "rows": "images-*.npy: sha256 of an image (32 bytes), float16 [c h w], and mirrored",
        }
        return rows_folder(self.cache, "efficientnet-lite0-stage", settings)
