"""Features beside foretold class probabilities, as a layer of a network that reads any item (ours)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from dhaps_core.hashing.foretelling import Foretelling
from dhaps_core.hashing.network import Dropout

__all__ = ["Foreteller", "landmarks_of"]

LANDMARKS = 1000
TAUGHT = 10_000  # items that the kernels learn from
RIDGE = 1e-3  # of the mean diagonal
WEIGHT = 2.0  # a: of the probabilities beside the features
WIDTH = 0.5  # of the kernels, in median distances


class Foreteller(nn.Module):
    """[x, sqrt(a) p / |p|] of items, and beside it what a hidden layer makes of x, if there is one.

    x are unit features. The log-odds of p are linear in x and in Gaussian kernels with some landmarks among
    the training items: they repeat for any x what was foretold of those
    (:func:`dhaps_core.hashing.foretelling.foretell`). Before any answer there is x alone.

    Args:
        features: d, of an item.
        classes: c; 0 before two are known.
        landmarks: m.
        several: 1 if an item may have several classes.
        hidden: width of the hidden layer; 0: none.
        dropout: share dropped after it.

    Attributes:
        features: d.
        dropout: as given.
        several: whether an item may have several classes.
        sizes: those of the arguments that another one must be made with to take its weights.
        out_features: d + c + hidden.
    """

    def __init__(
        self,
        features: int,
        *,
        classes: int = 0,
        landmarks: int = 0,
        several: int = 0,
        hidden: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.features, self.dropout, self.several = features, dropout, bool(several)
        self.sizes = {"classes": classes, "landmarks": landmarks, "several": several, "hidden": hidden}
        self.landmarks: Float[Tensor, "m d"]
        self.bandwidth: Float[Tensor, ""]
        self.linear: Float[Tensor, "d1 c"]
        self.kernels: Float[Tensor, "m c"]
        self.register_buffer("landmarks", torch.zeros(landmarks, features))
        self.register_buffer("bandwidth", torch.ones(()))
        self.register_buffer("linear", torch.zeros(features + 1, classes))
        self.register_buffer("kernels", torch.zeros(landmarks, classes))
        self.free: nn.Module | None = None
        if hidden:
            layers = nn.Linear(features, hidden), nn.LayerNorm(hidden), nn.ReLU(), Dropout(dropout)
            self.free = nn.Sequential(*layers)
        self.out_features = features + classes + hidden

    def forward(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n o"]:
        """Activations that a linear hash layer reads."""
        x = normalize(features, dim=1)
        parts = [x]
        if self.sizes["classes"]:
            parts.append(WEIGHT**0.5 * normalize(self.of_rows(x), dim=1))
        if self.free is not None:
            parts.append(self.free(x * x.shape[1] ** 0.5))
        return torch.cat(parts, 1)

    def of_rows(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Class probabilities of unit features."""
        odds = x @ self.linear[:-1] + self.linear[-1] + self._kernels(x) @ self.kernels
        return odds.sigmoid() if self.several else odds.softmax(1)

    def learn(self, rows: Float[Tensor, "n d"], foretold: Foretelling, *, generator: torch.Generator) -> None:
        """Repeat what was foretold of training items; a CPU generator draws the landmarks.

        The graph's log-odds are fitted by ridge regression on the kernels, x and 1; those of the regression
        are linear in x, and taken as they are.
        """
        order = torch.randperm(len(rows), generator=generator)
        self.landmarks.copy_(rows[order[: len(self.landmarks)]])
        self.bandwidth.copy_(_median_distance(self.landmarks) * WIDTH)
        taught = order[:TAUGHT]
        x, target = rows[taught], foretold.graph[taught]
        if not self.several:
            target = target - target.mean(1, keepdim=True)
        inputs = torch.cat([x, torch.ones(len(x), 1), self._kernels(x)], 1).double()
        gram = inputs.T @ inputs
        gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
        weights = torch.cholesky_solve(inputs.T @ target.double(), torch.linalg.cholesky(gram)).float()
        width = x.shape[1] + 1
        self.linear.copy_(foretold.linear + weights[:width])
        self.kernels.copy_(weights[width:])

    def _kernels(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n m"]:
        squared = x.square().sum(1, keepdim=True) + self.landmarks.square().sum(1)
        squared = squared - 2 * x @ self.landmarks.T
        return (-squared.clamp_min(0) / (2 * self.bandwidth**2)).exp()


def landmarks_of(items: int) -> int:
    """Number of landmarks among so many training items."""
    return min(items, LANDMARKS)


def _median_distance(points: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """Between different points; 1 if there is but one."""
    distances = torch.cdist(points, points)
    apart = distances[distances > 1e-3]
    return apart.median() if len(apart) else torch.ones(())
