"""Images to embeddings: decoded in threads ahead of the network, each kept on disk by its content."""

import copy
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Float32
from PIL import Image
from torch import Tensor, nn

from dhaps_core.array_files import read_array
from dhaps_core.checks import one_of
from dhaps_core.data.images import Images
from dhaps_core.data.items import Items
from dhaps_core.files import at_home
from dhaps_core.hashing.backbones import Backbone
from dhaps_core.hashing.kept_rows import KEY, rows_folder, write_rows
from dhaps_core.json_files import DamagedFileError

__all__ = ["PREPARATION", "embed", "embed_images"]

_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
_SHARD = 1024
_BATCH = 64
PREPARATION = "centre square, bicubic, JPEG decoded at 2x or more"


def embed(
    items: Items,
    backbone: Backbone,
    *,
    cache: str | Path,
    size: int | None = None,
    batch: int = _BATCH,
    precision: str = "float32",
    progress: Callable[[int, int, float], None] | None = None,
) -> Float32[np.ndarray, "n d"]:
    """Embedding of every image, from the cache where it is there.

    Each is kept by the content of the image: images that are added are embedded, and they alone; those that
    are renamed, moved or listed in another order are not, and of equal ones one is.

    The largest centred square of each image is scaled to size x size (bicubic): shapes keep their
    proportions, as in the images that networks are trained on, and the ends of long images are lost. A run
    that is killed goes on after its last file of 1,024 rows.

    Args:
        items: with images.
        backbone: the network; it is not changed.
        cache: folder for the rows; a sub-folder is named by the hash of weights and settings.
        size: side of the network's input, pixels; the backbone's own by default.
        batch: images in one forward pass; two batches are decoded ahead.
        precision: "float32", or "bf16" for a bfloat16 copy of the network: faster on CPUs that have it, with
            two to three significant digits.
        progress: called after each batch with rows done, rows in all, and the estimated seconds left.

    Raises:
        ValueError: if items have no images, the network's output is not finite [n d], or a file is damaged.
        UnreadableImage: if an image cannot be decoded; files written so far stay.
    """
    if items.images is None:
        raise ValueError("items must have images to embed; got features only. Use them as they are.")
    size = backbone.size if size is None else size
    if not all(type(number) is int and number >= 1 for number in (size, batch)):
        rule = "size and batch must be whole numbers, at least 1"
        raise ValueError(f"{rule}; got {size!r} and {batch!r}. Change them.")
    one_of("precision", precision, _DTYPES)
    if items.n == 0:
        raise ValueError("items must be at least 1 to embed; got 0. Look at the source.")
    folder, digests = _folder(at_home(cache), backbone, size, precision), items.images.digests()
    rows = _cached(folder)
    first = {digest: i for i, digest in reversed(list(enumerate(digests))) if digest not in rows}
    if missing := {i: digest for digest, i in sorted(first.items(), key=lambda one: one[1])}:
        network = _Network(backbone, precision)
        _fill(folder, missing, items.images, network, size=size, batch=batch, progress=progress)
        rows = _cached(folder)
    return np.stack([rows[digest] for digest in digests])


def embed_images(images: Images, backbone: Backbone, *, size: int) -> Float32[np.ndarray, "n d"]:
    """Embedding of each of a few images, as :func:`embed` makes it in float32; nothing is kept.

    Raises:
        ValueError: as there.
        UnreadableImage: as there.
    """
    network, done = _Network(backbone, "float32"), []
    with closing(_squares(images, range(len(images)), size, ahead=2 * _BATCH)) as squares:
        while block := list(islice(squares, _BATCH)):
            done.append(network(np.stack(block)))
    return np.concatenate(done)


def _folder(cache: Path, backbone: Backbone, size: int, precision: str) -> Path:
    """Sub-folder for these settings."""
    settings = {
        "backbone": backbone.name,
        "weights": backbone.weights_hash(),
        "mean": backbone.mean,
        "std": backbone.std,
        "size": size,
        "precision": precision,
        "preparation": PREPARATION,
        "rows": "images-*.npy: sha256 of an image (32 bytes), then its embedding (float32)",
    }
    return rows_folder(cache, backbone.name, settings)


def _fill(
    folder: Path,
    missing: Mapping[int, str],
    images: Images,
    network: "_Network",
    *,
    size: int,
    batch: int,
    progress: Callable[[int, int, float], None] | None,
) -> None:
    """Embed the images at some positions, by their digests, in files of at most _SHARD."""
    positions, others = list(missing), len(images) - len(missing)
    done, started = 0, time.monotonic()
    with closing(_squares(images, positions, size, ahead=2 * batch)) as squares:
        for first in range(0, len(missing), _SHARD):
            part, blocks = positions[first : first + _SHARD], []
            for start in range(0, len(part), batch):
                blocks.append(network(np.stack(list(islice(squares, min(batch, len(part) - start))))))
                done += len(blocks[-1])
                if progress is not None:
                    left = (time.monotonic() - started) / done * (len(missing) - done)
                    progress(others + done, len(images), left)
            write_rows(folder, [missing[i] for i in part], np.concatenate(blocks).astype("<f4", copy=False))


class _Network:
    """A copy of the backbone in the wanted precision, from uint8 pixels to float32 rows."""

    def __init__(self, backbone: Backbone, precision: str) -> None:
        module = copy.deepcopy(backbone.module).eval().requires_grad_(False)
        self.dtype, self.device = _DTYPES[precision], next(module.parameters(), torch.empty(0)).device
        self.module: nn.Module = module.to(dtype=self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mean, std = (
            torch.tensor(colours, device=self.device).view(3, 1, 1)
            for colours in (backbone.mean, backbone.std)
        )
        self.scale, self.shift = 1 / (255 * std), -mean / std

    @torch.inference_mode()
    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        # [n h w 3] in memory seen as [n 3 h w] is channels_last, the layout that suits convolutions best.
        x = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()
        rows: Float[Tensor, "n d"] = self.module(torch.addcmul(self.shift, x, self.scale).to(self.dtype))
        if rows.ndim != 2 or len(rows) != len(pixels) or not bool(rows.isfinite().all()):
            raise ValueError(
                f"a backbone must return finite rows [n d] for {len(pixels)} images; got {tuple(rows.shape)}"
                " or values that are not finite. Check its pooling, or use precision='float32'."
            )
        return rows.float().cpu().numpy()


def _squares(
    images: Images, positions: Iterable[int], size: int, *, ahead: int
) -> Generator[npt.NDArray[np.uint8], None, None]:
    """Prepared images in order, at most ``ahead`` of them in work or done before they are asked for."""
    todo = iter(positions)
    pending: deque[Future[npt.NDArray[np.uint8]]] = deque()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            pending.extend(pool.submit(_square, images, i, size) for i in islice(todo, ahead))
            while pending:
                square = pending.popleft().result()
                pending.extend(pool.submit(_square, images, i, size) for i in islice(todo, 1))
                yield square
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _square(images: Images, i: int, size: int) -> npt.NDArray[np.uint8]:
    pixels = images.read(i, at_least=size)
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    return np.asarray(square.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0))


def _cached(folder: Path) -> dict[str, Float32[np.ndarray, " d"]]:
    """Rows by the digests of their images, all of one width."""
    found: dict[str, npt.NDArray[np.float32]] = {}
    widths: dict[int, Path] = {}
    for path in sorted(folder.glob("images-*.npy")):
        held = read_array(path, dtype=np.uint8, shape=(-1, -1), advice="Delete it.")
        width, rest = divmod(held.shape[1] - KEY, 4)
        if width < 1 or rest:
            rule = f"{path} must hold 32 bytes and then float32 in each row"
            raise DamagedFileError(f"{rule}; got {held.shape[1]} bytes. Delete it.")
        rows = np.ascontiguousarray(held[:, KEY:]).view("<f4")
        if not np.isfinite(rows).all():
            raise DamagedFileError(f"{path} must hold finite numbers; got others. Delete it.")
        widths[width] = path
        found |= {key.tobytes().hex(): row for key, row in zip(held[:, :KEY], rows, strict=True)}
    if len(widths) > 1:
        told = " and ".join(f"{width} in {path.name}" for width, path in sorted(widths.items()))
        raise DamagedFileError(
            f"files of {folder} must hold rows of one width; got {told}. Delete the folder."
        )
    return found
