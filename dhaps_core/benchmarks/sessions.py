"""Whole sessions and embedding as the benchmark notebook times them."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from dhaps_core.answers.questions import Source, label_oracle
from dhaps_core.benchmarks.cases import pool_features
from dhaps_core.data.items import Items
from dhaps_core.data.sources import arrays, image_folder
from dhaps_core.hashing.backbones import Backbone
from dhaps_core.hashing.embed import embed
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings

__all__ = ["embed_afresh", "forward_alone", "photographs", "session_on", "session_rounds"]


def session_on(path: str, n: int, folder: str, device: str) -> tuple[ActiveSession, Source]:
    """A session on the embeddings with made labels, and the oracle that knows them."""
    features = pool_features(path, n).numpy()
    labels = np.random.default_rng(0).integers(10, size=n)
    items = arrays(features, labels, queries=min(1000, n // 5), seed=0)
    return ActiveSession(folder, items, Settings(picks=50), device=device), label_oracle(items)


def session_rounds(path: str, n: int, rounds: int, device: str) -> list[dict[str, float]]:
    """Seconds of each round of a session, the unsupervised start first."""
    with tempfile.TemporaryDirectory() as folder:
        session, oracle = session_on(path, n, folder, device)
        return [dict(session.run_round(oracle)["seconds"]) for _ in range(rounds + 1)]


def photographs(folder: Path, count: int) -> Items:
    """Cuttings of 480 x 360 pixels of scikit-learn's two photographs, as a folder of JPEG files."""
    pictures = load_sample_images().images
    draw = np.random.default_rng(0)
    for i in range(count):
        picture = pictures[i % len(pictures)]
        top, left = (
            int(draw.integers(size - side)) for size, side in zip(picture.shape, (360, 480), strict=False)
        )
        file = folder / f"{i % 2}" / f"{i:05}.jpg"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(picture[top : top + 360, left : left + 480]).save(file, quality=90)
    return image_folder(folder, queries=min(2, count // 4), seed=0)


def embed_afresh(items: Items, backbone: Backbone, size: int, batch: int) -> None:
    """Embed images with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        embed(items, backbone, size=size, cache=cache, batch=batch)


@torch.inference_mode()
def forward_alone(items: Items, backbone: Backbone, size: int, batch: int) -> None:
    """As many forward passes of the network as embedding takes, on one batch that is there already."""
    module = backbone.module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    device = next(module.parameters(), torch.empty(0)).device
    pixels = torch.rand(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    for start in range(0, items.n, batch):
        module(pixels[: min(batch, items.n - start)])
