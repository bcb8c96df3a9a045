"""GraphBit: unsupervised codes whose ambiguous bits are told by other bits along a searched graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dhaps_core.hashing.methods.base import NO_SIZES, Batch, Objective, standardised
from dhaps_core.hashing.network import HashNetwork
from dhaps_core.hashing.quantisation import iterative_quantisation
from dhaps_core.hashing.training_set import TrainingSet

__all__ = ["GraphBit", "Instructions"]


class Instructions(nn.Module):
    """What bit i says about bit j, and the graph of who is listened to.

    Attributes:
        edges: True where bit i instructs bit j.
        policy: logits of the edges in the search.
    """

    def __init__(self, features: int, bits: int) -> None:
        super().__init__()
        self.tell = nn.Linear(features, bits * bits)
        self.edges: Bool[Tensor, "b b"]
        self.policy: Float[Tensor, "b b"]
        self.register_buffer("edges", torch.zeros(bits, bits, dtype=torch.bool))
        self.register_buffer("policy", torch.zeros(bits, bits))

    def forward(
        self,
        hidden: Float[Tensor, "n d"],
        outputs: Float[Tensor, "n b"],
        edges: Bool[Tensor, "b b"] | None = None,
    ) -> Float[Tensor, "n b"]:
        """Output of each bit averaged with what its instructors say of it."""
        edges = self.edges if edges is None else edges
        told = self.tell(hidden).view(-1, *edges.shape)
        instructed: Tensor = (outputs + (told * edges).sum(1)) / (1 + edges.sum(0))
        return instructed


@final
@dataclass(frozen=True)
class GraphBit(Objective):
    """100 [ mean_j (mean_n p - 1/2)^2 - alpha mean log(|p - 1/2| + 1/2) + beta mean (p0 - p)^2 ]; no labels.

    p = sigmoid of the instructed output, p0 of the bit alone: even split, little ambiguity, agreement. The
    layers are linear, weights as in the authors' code. Four readings (``docs/readings.md``): a sigmoid bounds
    p, which their code leaves unbounded; the policy is one number for each edge, learnt by REINFORCE from the
    paper's reward, the fall of the loss on the batch, in place of a network (each step of the middle third of
    training draws one edge to add and one to drop); the thresholds, means over the set, come from the
    training items only; and the hash layer starts at the directions of ITQ. None of the terms tells bits
    apart, so the start decides: on held-out training items of CIFAR-10 at 32 bits, random directions gave mAP
    .19, principal components turned at random .25, those of ITQ .29 (and ITQ alone .29, as does a training
    without the graph). So this is in effect ITQ: after it 91 % of the bits of the training codes are those of
    the start.

    Args:
        alpha: weight of the ambiguity; 0.2 in the authors' code.
        beta: weight of the agreement; 0.4 in the authors' code.
        policy_rate: step of the policy for a reward of 1.

    References:
        Duan, Wang, Lu, Lin, Zhou: GraphBit: Bitwise Interaction Mining via Deep Reinforcement Learning,
        CVPR 2018.
        Gong, Lazebnik: Iterative Quantization: A Procrustean Approach to Learning Binary Codes, CVPR 2011.
    """

    name, labels, prior = "graphbit", "none", False
    most_bits = 256  # the instructions have bits^2 outputs
    alpha: float = 0.2
    beta: float = 0.4
    policy_rate: float = 1.0

    def layers(
        self, features: int, bits: int, *, hidden: int, dropout: float, sizes: Mapping[str, int] = NO_SIZES
    ) -> nn.Sequential:
        """Nothing: the authors' stack of layers without nonlinearity is one linear map."""
        return nn.Sequential()

    def initialise(self, network: HashNetwork, training: TrainingSet) -> None:
        """Directions of ITQ on a sample, found from where the random weights point; outputs centred."""
        sample, layer = training.sample(), network.hash
        directions = iterative_quantisation(sample - sample.mean(0), layer.weight.detach())
        weight, bias = standardised(directions, sample)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)

    def head(self, features: int, bits: int, classes: int) -> Instructions:
        """The instructions."""
        return Instructions(features, bits)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The three terms, over all rows; in the middle third of training, a step of the graph search too."""
        head, hidden = batch.head, batch.hidden
        assert isinstance(head, Instructions)
        assert hidden is not None
        if 1 / 3 <= batch.progress < 2 / 3:
            self._search(head, hidden.detach(), batch.outputs.detach(), batch.generator)
        return self.terms(batch.outputs, head(hidden, batch.outputs))

    def terms(self, alone: Float[Tensor, "n b"], instructed: Float[Tensor, "n b"]) -> dict[str, Tensor]:
        """The three terms of outputs alone and instructed, each a scalar."""
        p, p0 = instructed.sigmoid(), alone.sigmoid()
        return {
            "balance": 100 * (p.mean(0) - 0.5).square().mean(),
            "ambiguity": -100 * self.alpha * ((p - 0.5).abs() + 0.5).log().mean(),
            "agreement": 100 * self.beta * (p0 - p).square().mean(),
        }

    @torch.no_grad()
    def _search(self, head: Instructions, hidden: Tensor, alone: Tensor, generator: torch.Generator) -> None:
        """Draw an edge to add, then one to drop; no loop, no edge twice or both ways."""

        def total(edges: Tensor) -> float:
            return float(torch.stack(list(self.terms(alone, head(hidden, alone, edges)).values())).sum())

        edges, bits = head.edges, len(head.edges)
        before = total(edges)
        for added in (True, False):
            chances = head.policy.flatten().softmax(0)
            weights = chances if added else 1e-9 - chances.clamp_min(1e-9).log()
            i, j = divmod(int(torch.multinomial(weights.cpu(), 1, generator=generator)), bits)
            free = i != j and not edges[i, j] and not edges[j, i]
            if not (free if added else edges[i, j]):
                continue
            edges[i, j] = added
            after = total(edges)
            reward = (before - after) if added else (after - before)  # of having the edge
            head.policy -= self.policy_rate * reward * chances.view(bits, bits)
            head.policy[i, j] += self.policy_rate * reward
            before = after

    @torch.no_grad()
    def binarise(self, network: HashNetwork, head: nn.Module | None, training: TrainingSet) -> None:
        """Instructions, being linear, folded into the hash layer; thresholds at the mean p of each bit."""
        assert isinstance(head, Instructions)
        layer, edges, share = network.hash, head.edges, 1 + head.edges.sum(0)
        told = (head.tell.weight.view(*edges.shape, -1) * edges[..., None]).sum(0)
        layer.weight.copy_((layer.weight + told) / share[:, None])
        layer.bias.copy_((layer.bias + (head.tell.bias.view_as(edges) * edges).sum(0)) / share)
        mean = training.encode(training.pool).sigmoid().mean(0).clamp(1e-6, 1 - 1e-6)
        network.shift.copy_(-mean.logit())
