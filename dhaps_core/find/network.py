"""The hash network of a result, built again from its plan and its weights."""

from pathlib import Path

import torch
from torch import nn

from dhaps_core.find.parts import MANIFEST, WAY, ResultDamaged
from dhaps_core.hashing.foreteller import Foreteller
from dhaps_core.hashing.network import HashNetwork
from dhaps_core.hashing.plan import NetworkPlan
from dhaps_core.hashing.weights import read_weights

__all__ = ["foreteller_of", "network_of"]


def network_of(path: Path, plan: NetworkPlan, sizes: object) -> HashNetwork:
    """The network whose weights are in a file, in evaluation mode, on the CPU.

    Args:
        path: of the weights.
        plan: of the network.
        sizes: of its layers that follow from the answers, as the manifest tells them.

    Raises:
        ResultDamaged: if they do not fit.
        ImportError: if it needs a package that is not installed.
    """
    if not isinstance(sizes, dict) or not all(
        type(one) is int and 0 <= one <= 10**6 for one in sizes.values()
    ):
        raise ResultDamaged(f"{MANIFEST} must have the sizes of layers; got {sizes!r:.80}. {WAY}")
    drawn = torch.Generator().manual_seed(0)
    try:
        if not plan.side:  # nothing is made of a size that the file does not bear out
            with torch.device("meta"):
                shapes = plan.build(generator=drawn, sizes=sizes).state_dict().values()
            numbers, size = sum(one.numel() * one.element_size() for one in shapes), path.stat().st_size
            if numbers > size:
                rule = f"{path} must hold the network that {MANIFEST} tells of, {numbers} bytes"
                raise ResultDamaged(f"{rule}; got {size}. {WAY}")
        network = plan.build(generator=drawn, sizes=sizes)
    except TypeError as error:
        got = ", ".join(map(str, sizes))
        raise ResultDamaged(f"{MANIFEST} must have the sizes of {plan.method}; got {got}. {WAY}") from error
    network.load_state_dict(read_weights(path, network.state_dict(), advice=WAY, error=ResultDamaged))
    return network.eval()


def foreteller_of(network: HashNetwork) -> Foreteller | None:
    """The layer of a network that foretells classes; None where its learner has none, or none are known."""
    layers = list(network.hidden) if isinstance(network.hidden, nn.Sequential) else []
    found = next((layer for layer in layers if isinstance(layer, Foreteller)), None)
    return found if found is not None and found.sizes["classes"] else None
