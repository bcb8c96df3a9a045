"""Terms of the loss that belong to no method: similarity to reference features, and MMD_S."""

from jaxtyping import Float, Int8
from torch import Tensor
from torch.nn.functional import normalize

from dhaps_core.hashing.methods.base import Batch
from dhaps_core.hashing.network import relax
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.pairs import item_kernel

__all__ = ["code_mmd", "shared_terms", "similarity_loss"]


def shared_terms(
    batch: Batch, references: Float[Tensor, "f d"] | None, prior: float, settings: TrainingSettings
) -> dict[str, Tensor]:
    """The similarity term on the rows without labels, and MMD_S where it weighs something, each a scalar.

    Args:
        batch: of the step.
        references: features of its f rows without labels; None switches the similarity term off.
        prior: weight of that term.
        settings: with the other weights.
    """
    terms = {}
    u, labelled = relax(batch.outputs), len(batch.similarity)
    if references is not None and len(references):
        known = _balanced_count(batch.similarity)
        weight = 1 + settings.prior_items**2 / known if known else 1
        terms["similarity"] = prior * weight * similarity_loss(u[labelled:], references)
    if settings.mmd and 0 < labelled < len(u):
        terms["mmd"] = settings.mmd * code_mmd(u[labelled:], u[:labelled])
    return terms


def similarity_loss(u: Float[Tensor, "n b"], references: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean squared difference between code similarities <u_i, u_j>/b and the cosines of the references."""
    features = normalize(references, dim=1)
    return (u @ u.T / u.shape[1] - features @ features.T).square().mean()


def code_mmd(u: Float[Tensor, "n b"], labelled: Float[Tensor, "l b"]) -> Float[Tensor, ""]:
    """MMD_S^2 between all pairs of some codes and all pairs of the labelled codes, in product form.

    Gaussian kernel on the relaxed codes with 2 sigma^2 = 2 b, the squared distance of independent codes.
    Kernel, bandwidth and weight are not on the poster: readings (``docs/readings.md``).

    References:
        Wang et al., ECCV 2020: the third term of the objective; the product form is the reading ``closed``.
    """
    bandwidth = float(u.shape[1]) ** 0.5
    within, across, chosen = (
        item_kernel(a, b, bandwidth=bandwidth).mean()
        for a, b in ((u, u), (u, labelled), (labelled, labelled))
    )
    return within.square() - 2 * across.square() + chosen.square()


def _balanced_count(similarity: Int8[Tensor, "l l"]) -> int:
    """Known ordered pairs, as many of each kind as of the scarcer one: 100 classes have few similar pairs."""
    kinds = [2 * int((similarity.tril(-1) == sign).sum()) for sign in (1, -1)]  # no row with itself
    return 2 * min(kinds) or max(kinds)
