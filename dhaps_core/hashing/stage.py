"""What layers that never change make of images, from both mirror views: computed once, kept on disk.

Fine-tuning goes through a network forwards and backwards many times, and only its upper layers change. So
the activations below them are kept beside the runs, shared by all that lie there. Of the augmentations of
images the mirror is left.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.array_files import write_array
from dhaps_core.data.images import Images
from dhaps_core.files import remove_leftovers, replace_text
from dhaps_core.hashing.backbones import Backbone
from dhaps_core.hashing.image_networks import CUT, FineTuned
from dhaps_core.hashing.inputs import ImageRows, squares

__all__ = ["StageRows"]

SHARD = 512  # images in a file
BATCH = 64
_PREPARATION = "scaled to fit, grey borders; float16 [n 2 c h*w], the second view mirrored"


class StageRows:
    """Images as rows that a :class:`FineTuned` goes on from: indexing by positions gives one float batch.

    A file of 512 images is computed at the first look at one of them: for 60,000 images of 128 pixels all of
    them take ten minutes of one core and 1.2 GB. They are mapped, not read, into memory. What was computed
    does not depend on who asks first, nor on how many processes do.

    Args:
        images: n of them.
        side: of the squares that they are scaled to, pixels.
        cache: folder in which these images and this network have one of their own.
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
        self.images, self.side, self.cache, self.device = images, side, cache, device
        self.generator = generator
        self._network = FineTuned()
        self._shape = self._network.shape_of(side)
        self._shards: dict[int, npt.NDArray[np.float16]] = {}
        self._folder: Path | None = None

    def __len__(self) -> int:
        return len(self.images)

    def augmented(self, generator: torch.Generator) -> "StageRows":
        """The same rows, mirrored by chance."""
        rows = StageRows.__new__(StageRows)
        rows.__dict__.update(vars(self) | {"generator": generator})
        return rows

    def __getitem__(self, positions: Int[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        view = torch.zeros(len(positions), dtype=torch.long)
        if self.generator is not None:
            view = torch.randint(2, (len(positions),), generator=self.generator)
        channels, height, width = self._shape
        out = torch.empty(len(positions), channels, height * width)
        shard = positions // SHARD
        for number in shard.unique().tolist():
            here = shard == number
            rows = self._shard(number)[(positions[here] % SHARD).numpy(), view[here].numpy()]
            out[here] = torch.from_numpy(rows.astype(np.float32))
        return out.view(-1, channels, height, width)

    def _shard(self, number: int) -> npt.NDArray[np.float16]:
        """Activations of one file, mapped; computed first where they are not there."""
        if (found := self._shards.get(number)) is None:
            path = self._own_folder() / f"images-{number * SHARD:09}.npy"
            if not path.exists():
                with FileLock(path.with_suffix(".lock")):
                    if not path.exists():
                        write_array(path, self._computed(number))
            found = self._shards[number] = self._mapped(path, number)
        return found

    def _mapped(self, path: Path, number: int) -> npt.NDArray[np.float16]:
        count = min(SHARD, len(self) - number * SHARD)
        shape = (count, 2, self._shape[0], self._shape[1] * self._shape[2])
        rows: npt.NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
        if rows.shape != shape or rows.dtype != np.float16:
            rule = f"{path} must hold float16 {list(shape)}"
            raise ValueError(f"{rule}; got {rows.dtype} {list(rows.shape)}. Delete it.")
        return rows

    @torch.inference_mode()
    def _computed(self, number: int) -> npt.NDArray[np.float16]:
        at = range(number * SHARD, min((number + 1) * SHARD, len(self)))
        plain, network = ImageRows(squares(self.images, side=self.side, at=at)), self._network.to(self.device)
        parts = []
        for rows in torch.arange(len(at)).split(BATCH):
            x = plain[rows].to(self.device)
            both = torch.stack([network.lower(x), network.lower(x.flip(3))], 1)
            parts.append(both.flatten(3).half().cpu())
        found = torch.cat(parts)
        if not bool(found.isfinite().all()):
            raise ValueError(f"activations of images {at} must be finite in float16; got others.")
        return found.numpy()

    def _own_folder(self) -> Path:
        """Sub-folder for these images and this network; about.json tells a person what it holds."""
        if self._folder is None:
            about = {
                "network": f"efficientnet-lite0, stem and first {CUT} blocks",
                "weights": Backbone("efficientnet-lite0", self._network.pooled).weights_hash(),
                "side": self.side,
                "preparation": _PREPARATION,
                "images": hashlib.sha256("".join(self.images.digests()).encode()).hexdigest(),
                "n": len(self),
            }
            text = json.dumps(about, indent=1)
            name = f"efficientnet-lite0-stage-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            folder = self.cache / name
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
            replace_text(folder / "about.json", text + "\n")
            self._folder = folder
        return self._folder
