"""The only training loop: a network, a method's loss, a frozen snapshot of the answers, one generator."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from dhaps_core.hashing.methods.base import (
    Batch,
    ClosedForm,
    Method,
    Objective,
    WithBinariser,
    WithHead,
    WithLayers,
    WithTeacher,
    check_relations,
)
from dhaps_core.hashing.network import Dropout, HashNetwork, Inputs, relax, seed_parameters
from dhaps_core.hashing.training_set import training_set
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.pairs import item_kernel

__all__ = ["Cancelled", "Supervision", "TrainingSettings", "code_mmd", "similarity_loss", "train"]

Progress = Callable[[int, int, float], bool | None]


class Cancelled(RuntimeError):  # noqa: N818 - no fault: somebody asked for it
    """The progress callback asked to stop; nothing of this training is kept."""


@runtime_checkable
class Supervision(Protocol):
    """What the loop reads of a snapshot (:class:`dhaps_core.answers.snapshot.Snapshot`)."""

    @property
    def supervised(self) -> np.ndarray:
        """Positions of the items that answers tell something about."""

    @property
    def classes(self) -> np.ndarray:
        """Class of each item, -1 where unknown; or which classes each item has."""

    @property
    def classed(self) -> np.ndarray:
        """Whether the class or classes of each item are known; it may be known to have none."""

    @property
    def class_names(self) -> Sequence[str | int]:
        """Classes answered so far."""

    def similarity_matrix(self, positions: np.ndarray) -> np.ndarray:
        """What is known of all pairs among some items: +1, -1 or 0."""

    def relations(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """What is known of pairs, for positions that broadcast."""


def train(
    network: HashNetwork,
    method: Method,
    inputs: Inputs,
    supervision: Supervision,
    *,
    pool: Tensor,
    references: Float[Tensor, "m d"] | None,
    settings: TrainingSettings,
    generator: torch.Generator,
    progress: Progress | None = None,
    plain: Inputs | None = None,
) -> dict[str, float]:
    """Mean of each loss term over the last tenth of the steps; the network is trained in place.

    Works with no label at all (the unsupervised start), with one class only, with only similar or only
    dissimilar answers, and on the device that the network is on. Unlabelled rows are drawn from the training
    items that no answer is about; once there is none, the terms on them vanish.

    Args:
        network: as the method has it (:class:`dhaps_core.session.model.Model` builds it).
        method: the loss, or the closed form.
        inputs: rows that the network reads, by item position; augmented, if they are.
        supervision: frozen snapshot of the answers.
        pool: positions of the training items, never the queries; what is known of others plays no part.
        references: features of every item whose cosines the similarity term follows; None switches it off.
        settings: see :class:`TrainingSettings`.
        generator: CPU generator; the only source of randomness.
        progress: called with (step, steps, loss) after each step; returning True cancels.
        plain: rows without augmentation, for what is found after training; ``inputs`` by default.

    Raises:
        Cancelled: if the progress callback returned True.
        ValueError: if there is nothing to learn from: no supervised item, no reference features, and a method
            that needs either; if the answers are not of the kind that the method reads; or if the loss stops
            being finite.
    """
    device = next(network.parameters()).device
    plain = inputs if plain is None else plain
    supervised = torch.tensor(supervision.supervised, dtype=torch.long)
    supervised = supervised[torch.isin(supervised, pool)]  # answers about queries teach nothing
    if method.labels == "none":
        supervised = supervised[:0]
    if isinstance(method, ClosedForm):
        return _solve(network, method, plain, supervision, pool=pool, supervised=supervised)
    assert isinstance(method, Objective)
    needs_prior = not len(supervised) and method.labels != "none"
    if needs_prior and (references is None or settings.similarity == 0):
        raise ValueError(
            "training needs answers or reference features; got neither. Answer a pair or give references."
        )
    if method.labels == "classes" and len(supervised) and not supervision.classed[supervised.numpy()].any():
        raise ValueError(
            f"{method.name} needs class labels; got answers to pairs only. Ask for classes, or use pts3h."
        )
    network.reset_binarisation()
    network.train()
    head: nn.Module | None = None
    if isinstance(method, WithHead):
        head = method.head(network.hash.in_features, network.bits, max(1, len(supervision.class_names)))
        seed_parameters(head, generator=generator)
        head.to(device)
    if isinstance(method, WithLayers):
        sample = pool[torch.randperm(len(pool), generator=generator)[:2048]]
        method.initialise(network, _first_features(network, plain, sample, device))
    teacher = copy.deepcopy(network) if isinstance(method, WithTeacher) else None
    for module in (network, head, teacher):
        _give_generator(module, generator)
    alone = method.labels == "none"
    steps = min(settings.most, settings.steps_without_labels) if alone else settings.steps(len(supervised))
    parameters = [p for module in (network, head) if module is not None for p in module.parameters()]
    rate = settings.rate(len(supervised))
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    prior = settings.similarity if needs_prior or method.prior else settings.anchor if alone else 0.0
    order = _endless_epochs(supervised, settings.batch, generator)
    unlabelled = pool[~torch.isin(pool, supervised)]
    free_size = settings.unlabelled_batch if len(unlabelled) else 0
    tail: list[dict[str, float]] = []
    for step in range(steps):
        labelled = next(order)
        rows = torch.cat(
            [labelled, unlabelled[torch.randint(max(1, len(unlabelled)), (free_size,), generator=generator)]]
        )
        hidden = network.embed(inputs[rows].to(device))
        second = None
        if teacher is not None:
            with torch.no_grad():
                second = teacher(inputs[rows].to(device))
        batch = Batch(
            outputs=network.binarised(network.hash(hidden)),
            similarity=torch.from_numpy(supervision.similarity_matrix(labelled.numpy())).to(device),
            generator=generator,
            classes=_class_matrix(supervision, labelled).to(device),
            classed=torch.from_numpy(supervision.classed[labelled.numpy()]).to(device),
            hidden=hidden,
            head=head,
            teacher=second,
            network=network,
            progress=step / steps,
        )
        terms = {} if needs_prior else method.loss(batch)
        free = rows[len(labelled) :]
        cosines_of = references[free].to(device) if prior and references is not None else None
        terms |= _shared_terms(batch, cosines_of, prior, settings)
        loss = torch.stack(list(terms.values())).sum()
        if not bool(loss.isfinite()):
            raise ValueError(
                f"the loss must be finite; got {loss.item()} at step {step}. Lower the learning rate."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if isinstance(method, WithTeacher) and teacher is not None:
            _follow(teacher, network, method.momentum(step / steps))
        if step >= steps - max(1, steps // 10):
            tail.append({name: float(value.detach()) for name, value in terms.items()})
        if progress is not None and progress(step + 1, steps, loss.item()):
            raise Cancelled(f"training was cancelled at step {step + 1} of {steps}.")
    network.eval()
    if isinstance(method, WithBinariser):
        known = training_set(
            network, plain, supervision, pool=pool, supervised=supervised, generator=generator
        )
        method.binarise(network, head, known)
    return {name: sum(row[name] for row in tail) / len(tail) for name in tail[0]}


def _solve(
    network: HashNetwork,
    method: ClosedForm,
    inputs: Inputs,
    supervision: Supervision,
    *,
    pool: Tensor,
    supervised: Tensor,
) -> dict[str, float]:
    """Hash layer of a closed form; it has no loss."""
    device = network.hash.weight.device
    positions = supervised.numpy()

    def similarity(rows: slice) -> Tensor:
        relations = torch.from_numpy(supervision.relations(positions[rows, None], positions[None]))
        check_relations(relations)
        return relations.to(device)

    weight, bias = method.solve(
        inputs[pool].to(device), inputs[supervised].to(device), similarity, bits=network.bits
    )
    with torch.no_grad():
        network.hash.weight.copy_(weight)
        network.hash.bias.copy_(bias)
    network.eval()
    return {}


@torch.no_grad()
def _first_features(network: HashNetwork, inputs: Inputs, sample: Tensor, device: torch.device) -> Tensor:
    """Backbone features in training mode: a fresh batch normalisation has no statistics of its own yet."""
    return torch.cat([network.backbone(inputs[part].to(device)) for part in sample.split(256)])


def _class_matrix(supervision: Supervision, positions: Tensor) -> Tensor:
    """Classes of some items, bool [l c]; a row without any where the class is not known."""
    classes = torch.from_numpy(np.ascontiguousarray(supervision.classes[positions.numpy()]))
    if classes.ndim == 1:
        return classes[:, None] == torch.arange(len(supervision.class_names))
    # Where all items so far have none of the classes, one class stands for those to come.
    return classes if classes.shape[1] else torch.zeros(len(classes), 1, dtype=torch.bool)


def _give_generator(module: nn.Module | None, generator: torch.Generator) -> None:
    for layer in () if module is None else module.modules():
        if isinstance(layer, Dropout):
            layer.generator = generator


@torch.no_grad()
def _follow(teacher: HashNetwork, student: HashNetwork, momentum: float) -> None:
    """Moving average of the weights; buffers are copied."""
    for mine, theirs in zip(teacher.parameters(), student.parameters(), strict=True):
        mine.lerp_(theirs, 1 - momentum)
    for buffer, source in zip(teacher.buffers(), student.buffers(), strict=True):
        buffer.copy_(source)


def similarity_loss(u: Float[Tensor, "n b"], references: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean squared difference between code similarities <u_i, u_j>/b and the cosines of the references."""
    features = normalize(references, dim=1)
    return (u @ u.T / u.shape[1] - features @ features.T).square().mean()


def code_mmd(u: Float[Tensor, "n b"], labelled: Float[Tensor, "l b"]) -> Float[Tensor, ""]:
    """MMD_S^2 between all pairs of some codes and all pairs of the labelled codes, in product form.

    Gaussian kernel on the relaxed codes with 2 sigma^2 = 2 b, the squared distance of independent codes.

    References:
        Wang et al., ECCV 2020: the third term of the objective; the product form is the reading ``closed``.
    """
    bandwidth = float(u.shape[1]) ** 0.5
    within = item_kernel(u, u, bandwidth=bandwidth).mean()
    across = item_kernel(u, labelled, bandwidth=bandwidth).mean()
    chosen = item_kernel(labelled, labelled, bandwidth=bandwidth).mean()
    return within.square() - 2 * across.square() + chosen.square()


def _shared_terms(
    batch: Batch, references: Tensor | None, prior: float, settings: TrainingSettings
) -> dict[str, Tensor]:
    """Terms of no method: similarity to the references on unlabelled rows, and MMD_S."""
    terms = {}
    labelled = len(batch.similarity)
    u = relax(batch.outputs)
    if references is not None and len(references):
        known = _balanced_count(batch.similarity)
        weight = 1 + settings.prior_items**2 / known if known else 1
        terms["similarity"] = prior * weight * similarity_loss(u[labelled:], references)
    if settings.mmd and labelled and len(u) > labelled:
        terms["mmd"] = settings.mmd * code_mmd(u[labelled:], u[:labelled])
    return terms


def _balanced_count(similarity: Tensor) -> int:
    """Known ordered pairs, as many of each kind as of the scarcer one: 100 classes have few similar pairs."""
    below = similarity.tril(-1)  # no row with itself
    counts = [2 * int((below == sign).sum()) for sign in (1, -1)]
    kinds = [count for count in counts if count]
    return min(kinds) * len(kinds) if kinds else 0


def _endless_epochs(items: Tensor, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of whole shuffled passes; everything at once where it fits; empty batches without items."""
    if len(items) <= batch:
        while True:
            yield items
    while True:
        shuffled = items[torch.randperm(len(items), generator=generator)]
        # A short rest would be a noisier step: it waits for the next pass.
        yield from (part for part in shuffled.split(batch) if len(part) == batch)
