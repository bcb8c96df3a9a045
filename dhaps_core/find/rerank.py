"""A shortlist by Hamming distance, put in order by the floats behind the codes."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import normalize

from dhaps_core.hashing.foreteller import Foreteller
from dhaps_core.hashing.methods.piq import probability_same

__all__ = ["same"]


@torch.no_grad()
def same(
    query: Float[Tensor, " d"], rows: Float[Tensor, "n d"], foreteller: Foreteller | None
) -> Float64[Tensor, " n"]:
    """How surely a query and each of some items are the same: p + (1 - p) cosine, at most 1.

    p is the probability that they share a class, by the classes that are foretold of each as if they were
    apart; where they are near, they share a fate. Without a foreteller it is the cosine.

    It was chosen on TrashNet, 60 answers, a shortlist of 200: precision at 10 is .749, by the cosine alone
    .733, by p alone .719, by the cosine of the layer's activations .733
    (``docs/results/your_own_images.md``).
    """
    x, at = normalize(query, dim=0), normalize(rows.float(), dim=1)
    cosine: Float64[Tensor, " n"] = (at @ x).double().clamp_max(1.0)  # rounding may go beyond
    if foreteller is None:
        return cosine
    p = foreteller.of_rows(torch.cat([x[None], at]))
    shared = probability_same(p[:1], p[1:], several=foreteller.several)[0].double()
    shared = shared.clamp_max(1 - 1e-6)  # where no doubt is left, the nearer one is still the surer one
    return shared + (1 - shared) * cosine
