"""The only training loop: a network, a method's loss, a frozen snapshot of the answers, one generator."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from dhaps_core.methods.base import Batch, Method
from dhaps_core.network import Dropout, Inputs, relax
from dhaps_core.pairs import item_kernel

__all__ = ["Cancelled", "Supervision", "TrainingSettings", "code_mmd", "similarity_loss", "train"]

Progress = Callable[[int, int, float], bool | None]


class Cancelled(RuntimeError):
    """The progress callback asked to stop; nothing of this training is kept."""


@runtime_checkable
class Supervision(Protocol):
    """What the loop reads of a snapshot (:class:`dhaps_core.supervision.Snapshot`)."""

    @property
    def supervised(self) -> np.ndarray: ...

    def similarity_matrix(self, positions: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class TrainingSettings:
    """Settings that are no part of any method.

    Attributes:
        epochs: passes over the supervised items; the number of steps follows, within ``least`` and ``most``.
        least: fewest steps (few labels still need a trained head).
        most: most steps.
        batch: supervised items of a step.
        unlabelled_batch: items of a step for the terms that need no label.
        learning_rate: peak of the one-cycle schedule (AdamW).
        decay: lambda of the penalty on the squared weights, decoupled as in AdamW.
        similarity: weight of the term that keeps code similarities near feature cosines on unlabelled items.
        mmd: weight of MMD_S between all and labelled codes.
    """

    epochs: int = 50
    least: int = 200
    most: int = 1500
    batch: int = 256
    unlabelled_batch: int = 256
    learning_rate: float = 1e-3
    decay: float = 1e-2
    similarity: float = 1.0
    mmd: float = 0.0

    def steps(self, supervised: int) -> int:
        """Number of steps for that many supervised items."""
        return min(self.most, max(self.least, ceil(self.epochs * supervised / self.batch)))


def train(
    network: nn.Module,
    method: Method,
    inputs: Inputs,
    supervision: Supervision,
    *,
    pool: Tensor,
    references: Float[Tensor, "m d"] | None,
    settings: TrainingSettings,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Mean of each loss term over the last tenth of the steps; the network is trained in place.

    Works with no label at all (the similarity term alone: the unsupervised start), with one class only, with
    only similar or only dissimilar answers, and on the device that the network is on.

    Args:
        network: module with outputs z [n b].
        method: the loss.
        inputs: rows that the network reads, by item position.
        supervision: frozen snapshot of the answers.
        pool: positions that unlabelled items are drawn from; never the queries.
        references: features of every item whose cosines the similarity term follows; None switches it off.
        settings: see :class:`TrainingSettings`.
        generator: CPU generator; the only source of randomness.
        progress: called with (step, steps, loss) after each step; returning True cancels.

    Raises:
        Cancelled: if the progress callback returned True.
        ValueError: if there is nothing to learn from: no supervised item and no reference features; or if the
            loss stops being finite.
    """
    supervised = torch.from_numpy(np.asarray(supervision.supervised))
    if not len(supervised) and (references is None or settings.similarity == 0):
        msg = "training needs answers or reference features; got neither. Answer a pair or give references."
        raise ValueError(msg)
    device = next(network.parameters()).device
    for module in network.modules():
        if isinstance(module, Dropout):
            module.generator = generator
    steps = settings.steps(len(supervised))
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    unlabelled_size = settings.unlabelled_batch if references is not None or settings.mmd else 0
    order = _endless_epochs(supervised, settings.batch, generator)
    tail: list[dict[str, float]] = []
    network.train()
    for step in range(steps):
        labelled = next(order)
        free = pool[torch.randint(len(pool), (unlabelled_size,), generator=generator)]
        rows = torch.cat([labelled, free])
        outputs = network(inputs[rows].to(device))
        similarity = torch.from_numpy(supervision.similarity_matrix(labelled.numpy())).to(device)
        batch = Batch(
            outputs=outputs,
            similarity=similarity,
            references=None if references is None else references[rows].to(device),
            progress=step / steps,
            generator=generator,
        )
        terms = method.loss(batch) if len(labelled) or method.labels == "none" else {}
        terms |= _shared_terms(batch, settings)
        loss = torch.stack(list(terms.values())).sum()
        if not bool(loss.isfinite()):
            msg = f"the loss must be finite; got {loss.item()} at step {step}. Lower the learning rate."
            raise ValueError(msg)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step >= steps - max(1, steps // 10):
            tail.append({name: float(value.detach()) for name, value in terms.items()})
        if progress is not None and progress(step + 1, steps, loss.item()):
            msg = f"training was cancelled at step {step + 1} of {steps}."
            raise Cancelled(msg)
    network.eval()
    return {name: sum(row[name] for row in tail) / len(tail) for name in tail[0]}


def similarity_loss(
    u: Float[Tensor, "n b"], references: Float[Tensor, "n d"]
) -> Float[Tensor, ""]:
    """Mean squared difference between code similarities <u_i, u_j>/b and the cosines of the references."""
    features = normalize(references, dim=1)
    return (u @ u.T / u.shape[1] - features @ features.T).square().mean()


def code_mmd(u: Float[Tensor, "n b"], labelled: Float[Tensor, "l b"]) -> Float[Tensor, ""]:
    """MMD_S^2 between all pairs of the codes and all pairs of the labelled codes, in product form.

    Gaussian kernel on the relaxed codes with 2 sigma^2 = 2 b, the squared distance of independent codes.

    References:
        Wang et al., ECCV 2020: the third term of the objective; the product form is the reading ``closed``.
    """
    bandwidth = float(u.shape[1]) ** 0.5
    within = item_kernel(u, u, bandwidth=bandwidth).mean()
    across = item_kernel(u, labelled, bandwidth=bandwidth).mean()
    chosen = item_kernel(labelled, labelled, bandwidth=bandwidth).mean()
    return within.square() - 2 * across.square() + chosen.square()


def _shared_terms(batch: Batch, settings: TrainingSettings) -> dict[str, Tensor]:
    terms = {}
    labelled = len(batch.similarity)
    u = relax(batch.outputs)
    if settings.similarity and batch.references is not None and len(u) > labelled:
        free = batch.references[labelled:]
        terms["similarity"] = settings.similarity * similarity_loss(u[labelled:], free)
    if settings.mmd and labelled and len(u) > labelled:
        terms["mmd"] = settings.mmd * code_mmd(u[labelled:], u[:labelled])
    return terms


def _endless_epochs(items: Tensor, batch: int, generator: torch.Generator):  # type: ignore[no-untyped-def]
    """Batches of whole shuffled passes; everything at once where it fits; empty batches without items."""
    if len(items) <= batch:
        while True:
            yield items
    while True:
        shuffled = items[torch.randperm(len(items), generator=generator)]
        # A short rest would be a noisier step: it waits for the next pass.
        yield from (part for part in shuffled.split(batch) if len(part) == batch)
