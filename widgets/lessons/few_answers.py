"""What few answers can tell: features, the class probabilities foretold, and the codes made of both."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from dhaps_core.codes import sign
from dhaps_core.hashing.foretelling import Told
from dhaps_core.hashing.methods.piq import PIQ, front_of, probability_same
from dhaps_core.hashing.network import HashNetwork
from dhaps_core.hashing.training_set import TrainingSet
from dhaps_core.retrieval.average_precision import mean_average_precision
from widgets.lessons.balls_figure import among_themselves
from widgets.lessons.material import Material
from widgets.lessons.thumbnails import CLASS_COLOURS, MAIN, clear, colour_of

__all__ = ["FewAnswers", "answers_figure", "learn_from"]


@dataclass(frozen=True, eq=False)
class FewAnswers:
    """What PIQ makes of some answers about the items of a lesson.

    Attributes:
        answered: positions of the items whose class was named.
        rows: unit features x.
        probabilities: p of each class named; none before two are.
        activations: [x, sqrt(2) p / |p|], which is quantised.
        directions: W, along which the centred activations are quantised.
        codes: of all items.
    """

    answered: tuple[int, ...]
    rows: Float[Tensor, "n d"]
    probabilities: Float[Tensor, "n c"]
    activations: Float[Tensor, "n o"]
    directions: Float[Tensor, "b o"]
    codes: Float[Tensor, "n b"]


def learn_from(material: Material, answers: int, *, bits: int, seed: int) -> FewAnswers:
    """PIQ on a lesson's items after so many answers; who is asked first is drawn, the classes in turn.

    Args:
        material: the items.
        answers: how many items' classes are named, from 0 to all.
        bits: b of the codes.
        seed: of the draw and of the rotation.

    Raises:
        ValueError: if there are not so many items.
    """
    if not 0 <= answers <= len(material):
        raise ValueError(f"answers must be from 0 to the {len(material)} items; got {answers}. Ask fewer.")
    n, draw = len(material), np.random.default_rng(seed)
    classes, values = np.unique(material.labels, return_inverse=True)
    lines = [draw.permutation(np.flatnonzero(values == c)) for c in range(len(classes))]
    asked = torch.from_numpy(np.stack(lines, 1).ravel()[:answers].copy())
    told = Told(asked, one_hot(torch.from_numpy(values)[asked], len(classes)).bool())
    generator, method = torch.Generator().manual_seed(seed), PIQ()
    features = material.features
    layers = method.layers(features.shape[1], bits, hidden=0, dropout=0.0)
    network = HashNetwork(features.shape[1], bits, generator=generator, hidden=layers)
    heard = told if answers >= len(classes) else None
    training = TrainingSet(network, features, _nothing, torch.arange(n), asked, generator, heard)
    method.fit(training)
    network.eval()
    front, rows = front_of(network), normalize(features, dim=1)
    with torch.no_grad():
        activations = network.embed(features)
        codes = sign(network(features))
        probabilities = front.of_rows(rows)
    return FewAnswers(
        tuple(asked.tolist()), rows, probabilities, activations, network.hash.weight.detach(), codes
    )


def _nothing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """No answer on a pair."""
    return np.zeros(np.broadcast_shapes(a.shape, b.shape), np.int8)


def answers_figure(material: Material, bits: int, seed: int, *, answers: int) -> Figure:
    """Who resembles whom: by the features, by the probabilities foretold, and by the codes of both."""
    found, n = learn_from(material, answers, bits=bits, seed=seed), len(material)
    value = mean_average_precision(among_themselves(found.codes, material.labels))
    same = probability_same(found.probabilities, several=False) if found.probabilities.shape[1] else None
    shown = {
        "features: cosine": found.rows @ found.rows.T,
        "probability to be the same": torch.full((n, n), torch.nan) if same is None else same,
        f"codes: share of {bits} bits that agree": (found.codes @ found.codes.T / bits + 1) / 2,
    }
    figure = Figure(figsize=(10.2, 4.1), layout="constrained")
    for axes, (title, matrix) in zip(figure.subplots(1, 3), shown.items(), strict=True):
        clear(axes, (-2.6, n - 0.5), (n - 0.5, -2.6))
        axes.imshow(matrix.numpy(), cmap="Blues", vmin=0, vmax=1, extent=(-0.5, n - 0.5, n - 0.5, -0.5))
        for i in range(n):
            look = {"color": colour_of(material, i), "lw": 0, "marker": "s", "ms": 4}
            axes.plot([-1.2, i], [i, -1.2], **look)
        for i in found.answered:
            axes.plot([-2.2, i], [i, -2.2], "*", color=CLASS_COLOURS[4], ms=6)
        edges = np.flatnonzero(np.diff(material.labels)) + 0.5
        axes.hlines(edges, -0.5, n - 0.5, color=MAIN, lw=0.8)
        axes.vlines(edges, -0.5, n - 0.5, color=MAIN, lw=0.8)
        axes.set_title(title, fontsize="small")
        if same is None and title.startswith("probability"):
            axes.text(n / 2, n / 2, "nothing is known yet", ha="center")
    figure.suptitle(f"{answers} answers (stars): mAP@all of the codes {value:.3f}", fontsize="medium")
    return figure
