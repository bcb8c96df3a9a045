"""The hash network: its output z is real-valued, the relaxed code is u = tanh(z), the code h = sign(z).

The poster names no network and no relaxation: readings (``docs/readings.md``).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dhaps_core.checks import Range, check_positions, check_width
from dhaps_core.hashing.inputs import Inputs

__all__ = ["HashNetwork", "Dropout", "seed_parameters", "relax", "encode", "find_device"]


class HashNetwork(nn.Module):
    """Backbone and hash head: hidden layer with layer normalisation, one output per bit, binarisation.

    The binarisation is a rotation and a shift before the sign. It is the identity until a method finds it
    after training, and it is saved with the weights.

    Args:
        features: width of the backbone's output (of the embedding, without a backbone).
        bits: b, at least 1.
        backbone: any module that gives [n features]; None reads embeddings as they are.
        hidden: width of the hidden layer; 0 makes a single linear hash layer; or other layers in its place.
        dropout: share dropped after the hidden layer.
        generator: CPU generator of the initial weights of the head; a backbone is taken as it comes.

    Attributes:
        features: width that the head reads.
        bits: b.
        learned: what its method says of how it was trained, for the metrics of a round.

    Raises:
        ValueError: if features or bits are below 1, or the layers given read something else.
    """

    def __init__(
        self,
        features: int,
        bits: int,
        *,
        generator: torch.Generator,
        backbone: nn.Module | None = None,
        hidden: int | nn.Sequential = 1024,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if features < 1 or bits < 1:
            raise ValueError(f"features and bits must be at least 1; got {features} and {bits}.")
        self.features, self.bits = features, bits
        self.learned: dict[str, Any] = {}
        self.backbone = nn.Identity() if backbone is None else backbone
        if not isinstance(hidden, int):
            reads = next((layer.in_features for layer in hidden if hasattr(layer, "in_features")), features)
            if reads != features:
                raise ValueError(f"hidden layers must read {features} features; got {reads}.")
            self.hidden = hidden
        elif hidden:
            self.hidden = nn.Sequential(
                nn.Linear(features, hidden), nn.LayerNorm(hidden), nn.ReLU(), Dropout(dropout)
            )
        else:
            self.hidden = nn.Sequential()
        widths: list[Any] = [layer.out_features for layer in self.hidden if hasattr(layer, "out_features")]
        self.hash = nn.Linear(widths[-1] if widths else features, bits)
        self.rotation: Tensor
        self.shift: Tensor
        self.register_buffer("rotation", torch.eye(bits))
        self.register_buffer("shift", torch.zeros(bits))
        for part in (self.hidden, self.hash):
            seed_parameters(part, generator=generator)

    def forward(self, x: Tensor) -> Float[Tensor, "n b"]:
        """Outputs z of rows [n d] or images; sign(z) is the code. Raises ValueError as :meth:`embed` does."""
        return self.binarised(self.hash(self.embed(x)))

    def embed(self, x: Tensor) -> Float[Tensor, "n d"]:
        """Activations of rows [n d] or images below the hash layer, for heads that sit beside it.

        Raises:
            ValueError: if the rows are not as the network reads them.
        """
        features = self.backbone(x)
        check_width("rows that the head reads", features, self.features)
        activations: Tensor = self.hidden(features)
        return activations

    @property
    def settled(self) -> bool:
        """Whether there are layers below the hash layer, and nothing up to it learns or is drawn."""
        below = [*self.backbone.modules(), *self.hidden.modules()]
        changes = any(isinstance(one, Dropout) for one in below)
        changes |= any(next(part.parameters(), None) is not None for part in (self.backbone, self.hidden))
        return len(self.hidden) > 0 and not changes

    def binarised(self, outputs: Float[Tensor, "n b"]) -> Float[Tensor, "n b"]:
        """Outputs of the hash layer, rotated and shifted.

        Raises:
            ValueError: if they are not one row an item, one number a bit.
        """
        check_width("outputs", outputs, self.bits)
        rotated: Tensor = outputs @ self.rotation + self.shift
        return rotated


class Dropout(nn.Module):
    """Dropout of a share in [0, 1) whose masks come from a generator: a run does not touch global state."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The input, of any shape; in training mode a share of entries is 0 and the rest scaled up."""
        if not self.training or self.share == 0:
            return x
        if self.generator is None:
            raise ValueError(
                "dropout needs a generator in training mode; got none. Train with training.train."
            )
        # Drawn on the CPU and moved: CPU and CUDA streams differ for equal seeds.
        kept = torch.rand(x.shape, generator=self.generator) >= self.share
        return x * kept.to(x.device) / (1 - self.share)


def seed_parameters(module: nn.Module, *, generator: torch.Generator) -> None:
    """Redraw the weights of linear and convolution layers (He initialisation) and zero their biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def relax(outputs: Float[Tensor, "*n b"]) -> Float[Tensor, "*n b"]:
    """Relaxed codes u = tanh(z), in [-1, 1]."""
    return outputs.tanh()


@torch.no_grad()
def encode(
    network: nn.Module, inputs: Inputs, positions: Tensor | None = None, *, batch: int = 4096
) -> Float[Tensor, "n b"]:
    """Real-valued outputs of the items at some positions [n] or of all, in evaluation mode, on the CPU.

    Raises:
        ValueError: if the positions are none of the rows, the batch is below 1, or the rows are not as the
            network reads them.
    """
    Range(1).check("batch", batch)
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    rows = torch.arange(len(inputs)) if positions is None else positions
    check_positions("positions", rows, len(inputs))
    was_training = network.training
    network.eval()
    out = torch.cat([network(inputs[part].to(device)).cpu() for part in rows.split(batch)])
    network.train(was_training)
    return out


def find_device(name: str) -> torch.device:
    """The device of a name such as ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        ValueError: if there is no such device here.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:  # torch without CUDA fails an assertion
        got = f"{name!r} ({str(error).splitlines()[0]})"
        raise ValueError(f"device must be one that torch can use here; got {got}. Use cpu.") from error
    return device
