"""One integer seed per run; an independent generator for every round and purpose."""

import hashlib

import torch

__all__ = ["derive_generator"]


def derive_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """CPU generator that depends on a run's seed and the purpose only: a round can be replayed alone.

    Example:
        >>> a, b = (derive_generator(0, "train", 3) for _ in range(2))
        >>> bool(torch.rand(1, generator=a) == torch.rand(1, generator=b))
        True
    """
    text = "/".join(map(str, (seed, *purpose)))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)
    return torch.Generator().manual_seed(number)
