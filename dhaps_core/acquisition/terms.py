"""Why these pairs: what each pick added to the objective, term by term."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.acquisition.problem import Pool

__all__ = ["separate_terms"]


def separate_terms(pool: Pool, pairs: Int[Tensor, "q 2"]) -> dict[str, Float[Tensor, " q"]]:
    """What each greedy pick added to the objective, term by term, replayed in the order of picking.

    With the invariant kernel; what was picked from a
    :class:`dhaps_core.acquisition.quadratic.QuadraticForm` has its terms there, of the kernel and the
    population that the form was made of.

    Args:
        pool: the round.
        pairs: the picks.
    """
    a, b = pairs.unbind(1)
    weights = pool.weights
    uncertain = pool.pair_uncertainties(pairs)
    if pool.reading == "closed":
        scale = pool.closed_scale
        uncertain = weights.uncertainty * uncertain
        represent = -scale * weights.representativeness * (pool.means[a] + pool.means[b])
        g = pool.kernels(pairs.flatten(), pool.labelled_items).sum(1).view(-1, 2).sum(1)
        within = pool.kernels(pairs.flatten(), pairs.flatten()).view(len(pairs), 2, len(pairs), 2)
        earlier = within.sum((1, 3)).tril(-1).sum(1)
        own = within.diagonal(dim1=0, dim2=2)[0, 1]
        size = len(pool.labelled_items) + 2 * torch.arange(1, len(pairs) + 1, device=pairs.device)
        diverse = scale * weights.diversity * (g + earlier + own) / size
    else:
        total = len(pool.labelled_pairs) + pool.picks
        share, step = total / pool.population, 2 * pool.beta / total**2
        labelled = pool.pair_kernels(pairs, pool.labelled_pairs).sum(1)
        within = pool.pair_kernels(pairs, pairs)
        mean = pool.means[pairs].prod(1)
        uncertain = weights.uncertainty / total * uncertain
        represent = -step * weights.representativeness * (total * mean - share * labelled)
        own = within.diagonal() / 2 + within.tril(-1).sum(1)
        diverse = step * weights.diversity * (own + (1 - share) * labelled)
    return {
        "uncertainty": uncertain,
        "representativeness": represent,
        "diversity": diverse,
        "total": uncertain + represent + diverse - pool.credit[pairs].sum(1),
    }
