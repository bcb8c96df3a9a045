"""Iterative quantisation: principal components, turned until projections are near their signs."""

import torch
from jaxtyping import Float
from torch import Tensor

from dhaps_core.codes import sign

__all__ = ["iterative_quantisation"]

TURNS = 50


def iterative_quantisation(
    centred: Float[Tensor, "s d"], start: Float[Tensor, "b d"]
) -> Float[Tensor, "b d"]:
    """Principal components turned so that projections of the rows are near their signs: b directions.

    Signs and Procrustes in turn, 50 rounds as published, from the rotation nearest to the start. Rows are
    orthonormal; with more bits than features the columns are.

    References:
        Gong, Lazebnik: Iterative Quantization, CVPR 2011.
    """
    width = min(start.shape)
    components = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :width]
    projected, rotation = centred @ components, _nearest_rotation(components.T @ start.T)
    for _ in range(TURNS):
        rotation = _nearest_rotation(projected.T @ sign(projected @ rotation))
    turned: Tensor = components @ rotation
    return turned.T


def _nearest_rotation(matrix: Float[Tensor, "w b"]) -> Float[Tensor, "w b"]:
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned: Tensor = left @ right
    return turned
