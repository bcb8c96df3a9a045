"""Mean kernel of every item with its pool, by the cheapest exact way; sampled for huge pools."""

import torch
from jaxtyping import Float
from torch import Tensor

from dhaps_core.codes import pack
from dhaps_core.hamming import distance_counts
from dhaps_core.pairs import item_kernel, kernel_means

__all__ = ["pool_kernel_means", "sampled"]

EXACT_ITEMS = 200_000
SAMPLED_ITEMS = 65_536
BLOCK = 1024


def sampled(n: int) -> str:
    """That the means of a pool of n items are over a sample, in words; empty if they are exact."""
    return f"kernel means over a random {SAMPLED_ITEMS} of the {n} items" if n > EXACT_ITEMS else ""


def pool_kernel_means(
    space: Float[Tensor, "n d"], *, bandwidth: float, generator: torch.Generator | None = None
) -> Float[Tensor, " n"]:
    """Mean Gaussian kernel of every item of a pool with all items, or from 200,001 on with a random 65,536.

    Codes in {-1, +1} take b+1 distances only, so their means follow from counts of distances: no exponential
    and no rounding before the last step. Equal codes are counted once.

    Args:
        space: codes, relaxed codes or embeddings.
        bandwidth: sigma, above 0.
        generator: CPU generator of the sample.

    Returns:
        Means in (0, 1].

    Raises:
        ValueError: if a sample is needed and no generator was given.
    """
    n, others = len(space), space
    if n > EXACT_ITEMS:
        if generator is None:
            rule = f"means over more than {EXACT_ITEMS} items need a generator"
            raise ValueError(f"{rule}; got {n} items and none. Give one to pool_kernel_means.")
        others = space[torch.randperm(n, generator=generator)[:SAMPLED_ITEMS].sort().values.to(space.device)]
    if bool((space.abs() == 1).all()):
        return _code_means(space, others, bandwidth)
    if others is space:
        return kernel_means(space, bandwidth=bandwidth)
    parts = [item_kernel(part, others, bandwidth=bandwidth).mean(1) for part in space.split(BLOCK)]
    return torch.cat(parts)


def _code_means(codes: Tensor, others: Tensor, bandwidth: float) -> Tensor:
    packed, place = torch.unique(pack(codes), dim=0, return_inverse=True)
    first = place.new_empty(len(packed)).scatter_(0, place, torch.arange(len(place), device=place.device))
    counts = distance_counts(codes[first], others)
    # Row d of the ladder differs from row 0 in d bits: the kernel at every distance.
    ladder = 1 - 2 * codes.new_ones(counts.shape[1], codes.shape[1], dtype=torch.float64).tril(-1)
    kernel = item_kernel(ladder[:1], ladder, bandwidth=bandwidth)[0]
    means = counts.double() @ kernel / len(others)
    return means[place].to(codes.dtype)
