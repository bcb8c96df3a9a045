"""From the state of a run to the pairs to ask next: what may be picked, and the call of the acquisition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dhaps_core.acquisition.means import KernelMeans, pool_kernel_means
from dhaps_core.acquisition.problem import Known
from dhaps_core.acquisition.select import Calibration, Selection, select_pairs, select_random
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.codes import sign
from dhaps_core.data.items import Items
from dhaps_core.pairs import median_bandwidth
from dhaps_core.seeds import derive_generator
from dhaps_core.session.folder import RunFolder
from dhaps_core.session.settings import Settings

__all__ = ["Picker", "Picks"]


@dataclass(frozen=True)
class Picks:
    """Chosen pairs of one round by key, scores by term, certificate; the last two are empty for random."""

    pairs: list[tuple[str, str]]
    scores: dict[str, list[float]]
    certificate: dict[str, Any]


class Picker:
    """Chooses pairs among the train items of a run.

    Args:
        items: the collection.
        settings: of the run.
        references: features of every item, the space ``embeddings``.
        folder: keeps the kernel means of embeddings, which are the same in every round.
        device: where the selection runs.

    Attributes:
        rows: positions of the train items.
        place: place of each key among them.
        copies: position of the first exact copy in the pool of each train item; its own of every other item.
    """

    def __init__(
        self,
        items: Items,
        settings: Settings,
        *,
        references: Float[Tensor, "n d"],
        folder: RunFolder,
        device: torch.device,
    ) -> None:
        self.keys, self.settings, self.references = items.keys, settings, references
        self.folder, self.device = folder, device
        self.rows = torch.from_numpy(items.splits["train"])
        self.place = {items.keys[row]: i for i, row in enumerate(self.rows.tolist())}
        # Of exact duplicates in the pool only the first is worth a question; queries learn nothing from it.
        self.copies = np.arange(items.n)
        self.copies[self.rows] = items.duplicates(items.splits["train"])[self.rows]
        self.distinct = torch.from_numpy(self.copies)[self.rows] == self.rows

    def choose(
        self,
        number: int,
        snapshot: Snapshot,
        *,
        picks: int,
        relaxed: Float[Tensor, "n b"],
        earlier: Sequence[tuple[str, str]],
        calibration: Callable[[], Calibration] | None,
    ) -> Picks:
        """Pairs of a round; none if none is left or ``picks`` is below 1.

        Args:
            number: of the round.
            snapshot: what is answered.
            picks: how many at most.
            relaxed: relaxed codes of every item.
            earlier: pairs chosen in earlier rounds.
            calibration: gives the log-odds of "same", or None for theta itself.
        """
        candidates, known = self._candidates(snapshot), self._known(snapshot)
        if self.settings.question == "classes" and not len(snapshot.unsure_pairs):
            known = None  # nothing is known of items without an answer
        if picks < 1 or int(candidates.sum()) < 2:
            return Picks([], {}, {})
        generator = derive_generator(self.settings.seed, "select", number)
        if self.settings.acquisition == "random":
            pairs = select_random(candidates, picks=picks, generator=generator, known=known)
            return Picks(self._named(pairs), {}, {})
        pool = relaxed[self.rows].to(self.device)
        space = self._space(pool)
        bandwidth = self._bandwidth(space)
        labelled = np.flatnonzero(np.isin(self.rows.numpy(), snapshot.supervised))
        pairs_before = [(self.place[a], self.place[b]) for a, b in earlier]
        sizes = torch.tensor(snapshot.component_sizes)[self.rows].to(pool)
        selection = select_pairs(
            pool,
            picks=picks,
            space=space,
            bandwidth=bandwidth,
            reading=self.settings.reading,
            kernel=self.settings.kernel,
            weights=self.settings.weights,
            beta=self.settings.beta,
            labelled_pairs=torch.tensor(pairs_before, dtype=torch.long).view(-1, 2).to(self.device),
            labelled_items=torch.from_numpy(labelled).to(self.device),
            candidates=candidates.to(self.device),
            known=known,
            credit=self.settings.implication * sizes.log(),
            calibration=calibration() if calibration else None,
            means=self._means(space, bandwidth),
            generator=generator,
        )
        return self._recorded(selection)

    def why_none(self, snapshot: Snapshot) -> str:
        """Why there is no pair to pick after some answers, although the budget allows one."""
        left, distinct = int(self._candidates(snapshot).sum()), int(self.distinct.sum())
        if distinct < 2:
            return f"fewer than two of the {len(self.rows)} items to choose from differ"
        if self.settings.question == "classes" and left == 1:
            return "one item is left without an answer, and a pair needs two that differ"
        return "every pair is answered or implied"

    def _candidates(self, snapshot: Snapshot) -> Tensor:
        """Which items of the pool may be picked."""
        if self.settings.question == "pairs":
            return self.distinct.clone()
        return self.distinct & ~torch.from_numpy(np.isin(self.rows.numpy(), snapshot.supervised))

    def _bandwidth(self, space: Tensor) -> float:
        scale, generator = self.settings.bandwidth_scale, derive_generator(self.settings.seed, "bandwidth")
        try:
            return median_bandwidth(space, scale=scale, generator=generator)
        except ValueError:  # the points are equal, or those of its sample are
            distinct = space.unique(dim=0)
        if len(distinct) < 2:
            return 1.0  # between equal points the kernel is 1 at every bandwidth
        return median_bandwidth(distinct, scale=scale, generator=generator)

    def _recorded(self, selection: Selection) -> Picks:
        certificate = dict(vars(selection.certificate))
        if not np.isfinite(certificate["margin"]):
            certificate["margin"] = None  # nothing was left unscored
        scores = {name: values.tolist() for name, values in selection.scores.items()}
        return Picks(self._named(selection.pairs.cpu()), scores, certificate)

    def _named(self, pairs: Tensor) -> list[tuple[str, str]]:
        return [(self.keys[a], self.keys[b]) for a, b in self.rows[pairs].tolist()]

    def _space(self, relaxed: Tensor) -> Tensor:
        if self.settings.space == "embeddings":
            return self.references[self.rows].to(self.device)
        return sign(relaxed) if self.settings.space == "codes" else relaxed

    def _means(self, space: Tensor, bandwidth: float) -> KernelMeans:
        embeddings = self.settings.space == "embeddings"
        if embeddings:
            name, shape = "kernel_means.npy", (len(space),)
            stored = self.folder.read_derived(name, dtype=np.float32, shape=shape)
            if stored is not None and np.isfinite(stored).all() and (stored > 0).all():
                return KernelMeans(torch.from_numpy(stored).to(space))
        generator = derive_generator(self.settings.seed, "means")
        means = pool_kernel_means(space, bandwidth=bandwidth, generator=generator)
        if embeddings:
            self.folder.write_array("kernel_means.npy", means.values.cpu().numpy())
        return means

    def _known(self, snapshot: Snapshot) -> Known | None:
        """Pairs of train positions that are answered, implied, or were answered "unsure"."""
        rows, n = self.rows.numpy(), len(self.keys)
        unsure = snapshot.unsure_pairs @ np.array([n, 1])

        def known(a: Tensor, b: Tensor) -> Tensor:
            x, y = rows[a.cpu().numpy()], rows[b.cpu().numpy()]
            found = snapshot.relations(x, y) != 0
            if len(unsure):
                found |= np.isin(np.minimum(x, y) * n + np.maximum(x, y), unsure)
            return torch.from_numpy(found).to(a.device)

        return known
