"""The only training loop: a network, a method's loss, a frozen snapshot of the answers, one generator."""

import copy
from collections.abc import Callable, Iterator
from math import isfinite

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dhaps_core.hashing.foretelling import Collection
from dhaps_core.hashing.inputs import Inputs
from dhaps_core.hashing.methods.base import Batch, ClosedForm, Method, Objective
from dhaps_core.hashing.methods.piq import Auto, foretold_same
from dhaps_core.hashing.network import Dropout, HashNetwork, seed_parameters
from dhaps_core.hashing.shared_terms import shared_terms
from dhaps_core.hashing.supervision import Supervision, told_of
from dhaps_core.hashing.training_set import TrainingSet
from dhaps_core.hashing.training_settings import TrainingSettings

__all__ = ["Cancelled", "Progress", "train"]

Progress = Callable[[int, int, float], bool | None]
"""Called with (step, steps, loss) after each step; returning True cancels."""


class Cancelled(RuntimeError):  # noqa: N818 - no fault: somebody asked for it
    """The progress callback asked to stop; nothing of this training is kept."""


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
    collection: Collection | None = None,
) -> dict[str, float]:
    """Mean of each loss term over the last tenth of the steps; the network is trained in place.

    Works on the device that the network is on, with no label at all (the unsupervised start; where the
    similarity term weighs nothing, its weights stay as they were drawn), with one class only, with only
    similar or only dissimilar answers. Unlabelled rows are drawn from the training items that no answer is
    about; once there is none, the terms on them vanish. That a round trains anew, and what the first one
    starts from, are readings (``docs/readings.md``).

    Args:
        network: as the method has it (:class:`dhaps_core.session.model.Model` builds it).
        method: the loss, or the closed form.
        inputs: rows that the network reads, by item position; augmented, if they are.
        supervision: frozen snapshot of the answers.
        pool: positions [m] of the training items, never the queries; what is known of others plays no part.
        references: features of every item whose cosines the similarity term follows; None switches it off.
        settings: see :class:`TrainingSettings`.
        generator: CPU generator; the only source of randomness.
        progress: see :data:`Progress`; a closed form is one step, which can be cancelled before it.
        plain: rows without augmentation, for what is found before and after the steps; ``inputs`` by default.
        collection: the training items as they are foretold, where they are at hand; by default those of the
            references, or of what the network reads.

    Raises:
        Cancelled: if the progress callback returned True.
        ValueError: if a method that needs either has neither supervised items nor reference features; if the
            answers are not of the kind that the method reads; or if the loss stops being finite.
    """
    supervised = torch.tensor(supervision.supervised, dtype=torch.long)
    supervised = supervised[torch.isin(supervised, pool)]  # answers about queries teach nothing
    if method.labels == "none":
        supervised = supervised[:0]
    plain = inputs if plain is None else plain
    told = told_of(supervision, supervised, pool)
    if collection is None and references is not None:
        collection = Collection(references[pool])
    known = TrainingSet(network, plain, supervision.relations, pool, supervised, generator, told, collection)
    learner = method.taken(told) if isinstance(method, Auto) else method
    losses: dict[str, float] = {}
    if isinstance(learner, ClosedForm):
        if progress is not None and progress(1, 1, 0.0):
            raise Cancelled("training was cancelled before its only step.")
        learner.fit(known)
        network.eval()
    else:
        assert isinstance(learner, Objective)
        training = _Training(learner, inputs, supervision, known, references=references, settings=settings)
        for number in range(training.steps):
            loss = training.step(number)
            if progress is not None and progress(number + 1, training.steps, loss):
                raise Cancelled(f"training was cancelled at step {number + 1} of {training.steps}.")
        losses = training.finish()
    if isinstance(method, Auto):
        network.learned = {"method": learner.name, **network.learned}
    return losses


class _Training:
    """One training of an objective: started when it is made, then ``steps`` steps, then finished."""

    def __init__(
        self,
        method: Objective,
        inputs: Inputs,
        supervision: Supervision,
        known: TrainingSet,
        *,
        references: Tensor | None,
        settings: TrainingSettings,
    ) -> None:
        self.method, self.inputs, self.supervision, self.settings = method, inputs, supervision, settings
        self.known, self.network, self.generator = known, known.network, known.generator
        self.device = self.network.hash.weight.device
        count, alone = len(known.supervised), method.labels == "none"
        self.unsupervised = not count and not alone  # the start: the similarity term and nothing else
        if self.unsupervised and references is None:
            raise ValueError(
                "training needs answers or reference features; got neither. Answer a pair or give references."
            )
        if method.labels == "classes" and count and not supervision.classed[known.supervised.numpy()].any():
            raise ValueError(
                f"{method.name} needs class labels; got answers to pairs only. Ask for classes, or use pts3h."
            )
        self.prior = settings.anchor if alone else 0.0
        if self.unsupervised or method.prior:
            self.prior = settings.similarity
        self.references = references if self.prior else None
        self.labelled = _endless_epochs(known.supervised, settings.batch, self.generator)
        self.unlabelled = known.pool[~torch.isin(known.pool, known.supervised)]
        self.steps = min(settings.most, settings.steps_without_labels) if alone else settings.steps(count)
        if method.evenly is not None:
            self.steps = min(settings.most, method.evenly.steps)
        if self.unsupervised and not settings.similarity:
            self.steps = 0
        self.followed = _Followed(known) if method.follows and not self.unsupervised else None
        self.tail: list[dict[str, Tensor]] = []
        learning = self._start()
        self.activations = self._settled()
        rate, decay = settings.rate(count), 0.0 if method.decays else settings.decay
        if method.evenly is not None:
            rate = method.evenly.rate
        self.optimizer = torch.optim.AdamW(learning.parameters(), lr=rate, weight_decay=decay)
        total = max(1, self.steps)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, rate, total_steps=total)

    def _start(self) -> nn.ModuleList:
        """What learns: network and head, brought to their first weights, and the teacher to the network's."""
        network, method = self.network, self.method
        nn.init.eye_(network.rotation)
        nn.init.zeros_(network.shift)
        network.train()
        classes = max(1, len(self.supervision.class_names))
        self.head = method.head(network.hash.in_features, network.bits, classes)
        if self.head is not None:
            seed_parameters(self.head, generator=self.generator)
            self.head.to(self.device)
        method.initialise(network, self.known)
        self.teacher = None if method.momentum is None else copy.deepcopy(network)
        learning = nn.ModuleList([network] if self.head is None else [network, self.head])
        for layer in (*learning.modules(), *(self.teacher.modules() if self.teacher is not None else ())):
            if isinstance(layer, Dropout):
                layer.generator = self.generator
        return learning

    @torch.no_grad()
    def _settled(self) -> Float[Tensor, "n h"] | None:
        """Activations of the pool, by position, where training changes nothing below the hash layer.

        Layers that are solved before the first step can cost more than the steps: they read each item once.
        """
        if not self.network.settled:
            return None
        found = torch.zeros(len(self.inputs), self.network.hash.in_features, device=self.device)
        for part in self.known.pool.split(4096):
            found[part] = self.network.embed(self.inputs[part].to(self.device))
        return found

    def step(self, number: int) -> float:
        """One step down the gradient of the method's terms and the shared ones; the loss before it."""
        batch, references = self._batch(number / self.steps)
        terms = {} if self.unsupervised else self.method.loss(batch)
        terms |= shared_terms(batch, references, self.prior, self.settings)
        loss = torch.stack(list(terms.values())).sum()
        value = loss.item()
        if not isfinite(value):
            raise ValueError(
                f"the loss must be finite; got {value} at step {number}. Lower the learning rate."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        if self.teacher is not None and self.method.momentum is not None:
            _follow(self.teacher, self.network, self.method.momentum)
        if number >= self.steps - max(1, self.steps // 10):
            self.tail.append({name: term.detach() for name, term in terms.items()})
        return value

    def _batch(self, progress: float) -> tuple[Batch, Tensor | None]:
        """Rows of a step, a view each for network and teacher; references of the unlabelled, or None."""
        (labelled, free), known = self._drawn(), self.supervision
        rows, at = torch.cat([labelled, free]), labelled.numpy()
        if self.activations is None:
            hidden = self.network.embed(self.inputs[rows].to(self.device))
        else:
            hidden = self.activations[rows.to(self.device)]
        teacher = None
        if self.teacher is not None:
            with torch.no_grad():
                teacher = self.teacher(self.inputs[rows].to(self.device))
        batch = Batch(
            outputs=self.network.binarised(self.network.hash(hidden)),
            similarity=torch.from_numpy(known.relations(at[:, None], at[None])).to(self.device),
            generator=self.generator,
            classes=_class_matrix(known, at).to(self.device),
            classed=torch.from_numpy(known.classed[at]).to(self.device),
            hidden=hidden,
            head=self.head,
            teacher=teacher,
            network=self.network,
            foretold=None if self.followed is None else self.followed.same(rows).to(self.device),
            progress=progress,
        )
        return batch, None if self.references is None else self.references[free].to(self.device)

    def _drawn(self) -> tuple[Tensor, Tensor]:
        """Positions of a step's rows: supervised ones, and others."""
        if self.method.evenly is not None:
            pool, size = self.known.pool, (self.method.evenly.rows,)
            rows = pool[torch.randint(len(pool), size, generator=self.generator)]
            supervised = torch.isin(rows, self.known.supervised)
            return rows[supervised], rows[~supervised]
        unlabelled = self.unlabelled
        size = (self.settings.unlabelled_batch if len(unlabelled) else 0,)
        return next(self.labelled), unlabelled[
            torch.randint(max(1, len(unlabelled)), size, generator=self.generator)
        ]

    def finish(self) -> dict[str, float]:
        """Let the method find its binarisation; mean of each term over the last tenth of the steps."""
        self.network.eval()
        self.method.binarise(self.network, self.head, self.known)
        names = self.tail[0] if self.tail else ()
        return {name: sum(float(row[name]) for row in self.tail) / len(self.tail) for name in names}


class _Followed:
    """What the answers foretell of the training items, for steps that ask about pairs of them."""

    def __init__(self, known: TrainingSet) -> None:
        told, self.rows = known.told, known.collection.rows
        self.several = told is not None and told.several
        self.probabilities = torch.zeros(len(self.rows), 0)
        if told is not None and told.values.shape[1] > 1:
            self.probabilities = known.collection.foretold(told).probabilities
        self.place = torch.empty(int(known.pool.max()) + 1, dtype=torch.long)
        self.place[known.pool] = torch.arange(len(known.pool))

    def same(self, positions: Int[Tensor, " n"]) -> Float[Tensor, "n n"]:
        """Probability that each two of some items are the same."""
        at = self.place[positions]
        return foretold_same(self.rows[at], self.probabilities[at], several=self.several)


def _class_matrix(supervision: Supervision, positions: np.ndarray) -> Bool[Tensor, "l c"]:
    """Classes of some items; a row without any where the class is not known."""
    classes = torch.from_numpy(np.ascontiguousarray(supervision.classes[positions]))
    if classes.ndim == 1:
        return classes[:, None] == torch.arange(len(supervision.class_names))
    # Where all items so far have none of the classes, one class stands for those to come.
    return classes if classes.shape[1] else torch.zeros(len(classes), 1, dtype=torch.bool)


def _endless_epochs(items: Tensor, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of whole shuffled passes; everything at once where it fits; empty batches without items."""
    while len(items) <= batch:
        yield items
    while True:
        shuffled = items[torch.randperm(len(items), generator=generator)]
        # A short rest would be a noisier step: it waits for the next pass.
        yield from (part for part in shuffled.split(batch) if len(part) == batch)


@torch.no_grad()
def _follow(teacher: HashNetwork, student: HashNetwork, momentum: float) -> None:
    """Moving average of the weights; buffers are copied."""
    for mine, theirs in zip(teacher.parameters(), student.parameters(), strict=True):
        mine.lerp_(theirs, 1 - momentum)
    for buffer, source in zip(teacher.buffers(), student.buffers(), strict=True):
        buffer.copy_(source)
