"""Features beside foretold class probabilities, as a layer of a network that reads any item (ours)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from dhaps_core.hashing.foretelling import Collection, Foretelling
from dhaps_core.hashing.kernel_ridge import unit_kernel

__all__ = ["Foreteller", "landmarks_of"]

LANDMARKS = 1000
TAUGHT = 10_000  # items that the kernels learn from
RIDGE = 1e-4  # of the mean diagonal
WEIGHT = 2.0  # of the probabilities beside the features


class Foreteller(nn.Module):
    """[x, sqrt(2) p / |p|] of items: unit features x and class probabilities p.

    The log-odds of p are linear in x and in Gaussian kernels with landmarks, which are some of the training
    items and those that the kernels of the foretelling are centred at: they repeat for any x what was
    foretold of the training items (:func:`dhaps_core.hashing.foretelling.foretell`). Before any answer there
    is x alone.

    Args:
        features: d, of an item.
        classes: c; 0 before two are known.
        landmarks: m.
        several: 1 if an item may have several classes.

    Attributes:
        features: d.
        several: whether an item may have several classes.
        sizes: those of the arguments that another one must be made with to take its weights.
        out_features: d + c.
    """

    def __init__(self, features: int, *, classes: int = 0, landmarks: int = 0, several: int = 0) -> None:
        super().__init__()
        self.features, self.several, self.out_features = features, bool(several), features + classes
        self.sizes = {"classes": classes, "landmarks": landmarks, "several": several}
        self.landmarks: Float[Tensor, "m d"]
        self.bandwidth: Float[Tensor, ""]
        self.linear: Float[Tensor, "d1 c"]
        self.kernels: Float[Tensor, "m c"]
        self.register_buffer("landmarks", torch.zeros(landmarks, features))
        self.register_buffer("bandwidth", torch.ones(()))
        self.register_buffer("linear", torch.zeros(features + 1, classes))
        self.register_buffer("kernels", torch.zeros(landmarks, classes))

    def forward(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n o"]:
        """Activations that a linear hash layer reads."""
        x = normalize(features, dim=1)
        if not self.sizes["classes"]:
            return x
        return torch.cat([x, WEIGHT**0.5 * normalize(self.of_rows(x), dim=1)], 1)

    def of_rows(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Class probabilities of unit features."""
        kernels = unit_kernel(x, self.landmarks, bandwidth=self.bandwidth)
        odds = x @ self.linear[:-1] + self.linear[-1] + kernels @ self.kernels
        return odds.sigmoid() if self.several else odds.softmax(1)

    def of_activations(self, activations: Float[Tensor, "n o"]) -> Float[Tensor, "n c"]:
        """The class probabilities that are in some activations: of one class an item without kernels anew."""
        x, p = activations.split([self.features, self.sizes["classes"]], dim=1)
        return self.of_rows(x) if self.several else p / p.sum(1, keepdim=True)

    def learn(self, collection: Collection, foretold: Foretelling, *, generator: torch.Generator) -> None:
        """Repeat what was foretold of training items; a CPU generator draws the landmarks.

        The graph's log-odds are fitted by ridge regression on kernels with the drawn landmarks, x and 1; what
        the other judges say is taken as it is.
        """
        rows, drawn = collection.rows, len(self.landmarks) - len(foretold.centres)
        order = torch.randperm(len(rows), generator=generator)
        self.landmarks.copy_(rows[torch.cat([order[:drawn], foretold.centres])])
        self.bandwidth.fill_(collection.bandwidth)
        taught = order[:TAUGHT]
        x, target = rows[taught], foretold.graph[taught]
        if not self.several:
            target = target - target.mean(1, keepdim=True)
        kernels = unit_kernel(x, self.landmarks[:drawn], bandwidth=self.bandwidth)
        inputs = torch.cat([x, torch.ones(len(x), 1), kernels], 1).double()
        gram = inputs.T @ inputs
        gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
        weights = torch.cholesky_solve(inputs.T @ target.double(), torch.linalg.cholesky(gram)).float()
        width = x.shape[1] + 1
        self.linear.copy_(foretold.linear + weights[:width])
        self.kernels.copy_(torch.cat([weights[width:], foretold.kernels]))


def landmarks_of(items: int) -> int:
    """Number of landmarks to draw among so many training items."""
    return min(items, LANDMARKS)
