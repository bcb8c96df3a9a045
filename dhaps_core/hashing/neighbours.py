"""The neighbour graph of a collection, and how what is known of a few items spreads over it."""

from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

__all__ = ["NeighbourGraph"]

NEIGHBOURS = 10
REACH = 0.95  # alpha: how much of an item's score comes from its neighbours
LISTED = 20_000  # items from which on neighbours are looked for in nearby cells only
COMPRESSED = 200_000  # items from which on two numbers of those in a cell are compared as four bits,
COMPARED = 8  # and then, by the numbers, so many times as many as are wanted
PROBED = 16  # cells
ASKED = 20_000  # items whose neighbours are looked for at once: a search keeps kilobytes for each
CLOSE = 1e-2  # the solver stops at this share of the first residual
TURNS = 200
STEPS = 3  # of the neighbourhood
FAINT = 4e-3  # what is less is left out of it after every step
DAMPED = 0.9  # a step further


class NeighbourGraph:
    """Each item joined to its ten nearest by cosine; from 20,001 items on, those of the nearest 16 cells.

    From 200,001 on the points of a cell are compared by product quantisation first, and the best by their
    numbers: five times as fast, and of 200 neighbours 199 are the same.

    Weights are exp(-|x_i - x_j|^2 / (s_i s_j)), s_i the distance to the tenth neighbour (Zelnik-Manor,
    Perona: Self-Tuning Spectral Clustering, NIPS 2004), made symmetric and normalised: S = D^-1/2 A D^-1/2.

    Args:
        rows: unit features of all items.

    Example:
        >>> import torch
        >>> points = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.1], [-1.0, 0.0]])
        >>> rows = torch.nn.functional.normalize(points)
        >>> spread = NeighbourGraph(rows, neighbours=1).spread(np.array([[1.0], [0.0], [0.0], [0.0]]))
        >>> [round(float(one), 2) for one in spread[:, 0]]  # it reaches the one beside it
        [10.26, 9.74, 0.0, 0.0]
    """

    def __init__(self, rows: Float[Tensor, "n d"], *, neighbours: int = NEIGHBOURS) -> None:
        points = np.ascontiguousarray(rows.cpu().numpy(), dtype=np.float32)
        if len(points) > COMPRESSED and points.shape[1] % 2:
            points = np.pad(points, ((0, 0), (0, 1)))  # two numbers have four bits
        n, k = len(points), min(neighbours, len(rows) - 1)
        index = _index(points)
        found = [index.search(part, k + 1) for part in np.array_split(points, -(-n // ASKED))]
        similarity, near = (np.concatenate(parts) for parts in zip(*found, strict=True))
        of = np.repeat(np.arange(n), k + 1).reshape(n, k + 1)
        kept = (near != of) & (near >= 0)
        squared = np.clip(2 - 2 * similarity, 0, None)
        scale = np.sqrt(squared[:, -1]) + 1e-6  # of exact copies it is 0
        weights = np.exp(-squared / (scale[:, None] * scale[near]))
        shape = (n, n)
        joined = sparse.csr_matrix((weights[kept].astype(np.float32), (of[kept], near[kept])), shape=shape)
        joined = joined.maximum(joined.T)
        degree = np.asarray(joined.sum(axis=1)).ravel()
        root = sparse.diags((degree + 1e-9) ** -0.5).astype(np.float32)
        self._normalised = (root @ joined @ root).tocsr()

    def __len__(self) -> int:
        return int(self._normalised.shape[0])

    def spread(self, evidence: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n c"]:
        """(I - alpha S)^-1 evidence, by conjugate gradients, all columns at once: at least 0 where it is.

        References:
            Zhou, Bousquet, Lal, Weston, Schoelkopf: Learning with Local and Global Consistency, NIPS 2003.
        """
        evidence = evidence.astype(np.float32)
        found, residual = np.zeros_like(evidence), evidence.copy()
        direction, left = residual.copy(), np.square(residual).sum(0)
        enough = CLOSE**2 * left
        for _ in range(TURNS):
            if (left <= enough).all():
                break
            image = direction - REACH * (self._normalised @ direction)
            step = left / np.maximum((direction * image).sum(0), 1e-30)
            found += step * direction
            residual -= step * image
            before, left = left, np.square(residual).sum(0)
            direction = residual + left / np.maximum(before, 1e-30) * direction
        positive: Float[np.ndarray, "n c"] = np.maximum(found, 0)
        return positive

    @cached_property
    def neighbourhood(self) -> sparse.csr_matrix:
        """Symmetric kernel [n n], 1 on the diagonal: how well an item stands for another.

        The first terms of a diffusion, I + alpha S + (alpha S)^2 + (alpha S)^3, without what is too small to
        count after any of the steps: some fifty entries an item.
        """
        identity = sparse.identity(len(self), dtype=np.float32, format="csr")
        kernel = identity
        for _ in range(STEPS):
            kernel = (identity + DAMPED * (self._normalised @ kernel)).tocsr()
            kernel.data[kernel.data < FAINT] = 0
            kernel.eliminate_zeros()
        kernel = kernel.maximum(kernel.T)
        root = sparse.diags(kernel.diagonal() ** -0.5)
        normalised: sparse.csr_matrix = (root @ kernel @ root).tocsr()
        return normalised


def _index(points: Float[np.ndarray, "n d"]) -> Any:
    """The points, ready for a search by product."""
    import faiss  # not at the first import, which it makes a tenth of a second longer

    n, d = points.shape
    if n <= LISTED:
        index: Any = faiss.IndexFlatIP(d)
    else:
        codes = f"PQ{-(-d // 2)}x4fs,RFlat" if n > COMPRESSED else "Flat"
        index = faiss.index_factory(d, f"IVF{2 * int(n**0.5)},{codes}", faiss.METRIC_INNER_PRODUCT)
        if n > COMPRESSED:
            index.k_factor = COMPARED
        cells = faiss.extract_index_ivf(index)
        cells.cp.niter, cells.nprobe = 10, PROBED
        index.train(points[:: max(1, n // 40_000)])
    index.add(points)
    return index
