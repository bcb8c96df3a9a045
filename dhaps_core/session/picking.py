"""From the state of a run to the pairs to ask next: what a strategy sees of it, and its picks by key."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from dhaps_core.acquisition.calibration import Calibration
from dhaps_core.acquisition.contract import Pool
from dhaps_core.acquisition.problem import Known
from dhaps_core.acquisition.strategies import STRATEGIES
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.data.items import Items
from dhaps_core.keys import positions
from dhaps_core.session.folder import RunFolder
from dhaps_core.session.settings import Settings

__all__ = ["Picker"]


class Picker:
    """Chooses pairs among the train items of a run.

    The references are the features of every item, the space ``embeddings``. The folder keeps what a strategy
    computes of them, as they are the same in every round.

    Attributes:
        rows: positions of the train items.
        place: place of each key among them.
        places: whether the items of chosen pairs are placed one by one (:mod:`dhaps_core.session.placing`).
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
        self.place = positions(items.keys[row] for row in self.rows.tolist())
        # Of exact duplicates in the pool only the first is worth a question; queries learn nothing from it.
        self.copies = np.arange(items.n)
        self.copies[self.rows] = items.duplicates(items.splits["train"])[self.rows]
        # Where the answers make groups, items are placed; else the chosen pairs are asked as they are.
        self.places = (
            settings.question != "classes" and settings.reading != "published" and not items.multi_label
        )
        self.distinct = torch.from_numpy(self.copies)[self.rows] == self.rows

    def choose(
        self,
        number: int,
        snapshot: Snapshot,
        *,
        picks: int,
        relaxed: Float[Tensor, "n b"],
        earlier: Callable[[], Sequence[tuple[str, str]]],
        calibration: Callable[[], Calibration],
        probabilities: Callable[[], Float[Tensor, "m c"]],
        borne_out: Callable[[], float],
        neighbourhood: Callable[[], sparse.csr_matrix],
        awaited: Sequence[tuple[str, str]] = (),
    ) -> tuple[tuple[tuple[str, str], ...], dict[str, list[float]], dict[str, Any]]:
        """Pairs, scores and certificate of a :class:`dhaps_core.session.proposals.Proposal`.

        At most ``picks`` pairs: none if none is left. The pairs of earlier rounds, the calibration and the
        probabilities are computed where the strategy asks for them. Of ``awaited`` pairs the items count as
        labelled, though their answers are still to come: what is chosen lies beside them.

        Raises:
            ImportError: if the strategy needs a package that is not installed.
        """
        candidates, rows = self._candidates(snapshot), self.rows.numpy()
        coming = sorted({self.place[key] for pair in awaited for key in pair})
        candidates[coming] = False
        labelled = np.isin(rows, snapshot.supervised)
        labelled[coming] = True
        if picks < 1 or int(candidates.sum()) < 2:
            return (), {}, {}
        device = self.device
        pool = Pool(
            relaxed=relaxed[self.rows].to(device),
            features=self.references[self.rows].to(device),
            candidates=candidates.to(device),
            seed=self.settings.seed,
            round=number,
            known=self._known(snapshot),
            labelled=torch.from_numpy(np.flatnonzero(labelled)).to(device),
            classes=torch.from_numpy(snapshot.classes[rows]).to(device),
            alike=torch.from_numpy(snapshot.component_sizes[rows]).to(device),
            earlier=lambda: self._places(earlier()),
            calibration=calibration,
            probabilities=lambda: probabilities().to(device),
            borne_out=borne_out,
            neighbourhood=neighbourhood,
            keep=self._keep,
        )
        strategy = STRATEGIES[self.settings.acquisition]
        strategy.check_installed()
        found = strategy.of(self.settings).choose(pool, picks=picks)
        certificate = {} if found.certificate is None else dict(vars(found.certificate))
        if not isfinite(certificate.get("margin", 0.0)):
            certificate["margin"] = None  # nothing was left unscored
        pairs = tuple((self.keys[a], self.keys[b]) for a, b in self.rows[found.pairs.cpu()].tolist())
        return pairs, {name: values.tolist() for name, values in found.scores.items()}, certificate

    def order(self, pairs: Sequence[tuple[str, str]], snapshot: Snapshot, *, most: int) -> tuple[str, ...]:
        """Keys of the items to be placed: those of the pairs, and then an odd one that is left."""
        order = list(dict.fromkeys(key for pair in pairs for key in pair))
        left = [self.keys[row] for row in self.rows[self._candidates(snapshot)].tolist()]
        odd = [key for key in left if key not in set(order)]
        return tuple((order + odd if len(odd) == 1 else order)[:most])

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
        if self.settings.question == "pairs" and not self.places:
            return self.distinct.clone()
        return self.distinct & ~torch.from_numpy(np.isin(self.rows.numpy(), snapshot.supervised))

    def _places(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        places = [(self.place[a], self.place[b]) for a, b in pairs]
        return torch.tensor(places, dtype=torch.long, device=self.device).view(-1, 2)

    def _keep(self, name: str, compute: Callable[[], Tensor]) -> Tensor:
        """See :attr:`Pool.keep`: in the folder of the run."""
        file, shape = f"{name}.npy", (len(self.rows),)
        stored = self.folder.read_derived(file, dtype=np.float32, shape=shape)
        if stored is not None and np.isfinite(stored).all() and (stored > 0).all():
            return torch.from_numpy(stored).to(self.device)
        values = compute()
        self.folder.write_array(file, values.cpu().numpy())
        return values

    def _known(self, snapshot: Snapshot) -> Known | None:
        """Pairs of train positions that are answered, implied, or were answered "unsure"."""
        rows, n = self.rows.numpy(), len(self.keys)
        unsure = snapshot.unsure_pairs @ np.array([n, 1])
        if (self.settings.question == "classes" or self.places) and not len(unsure):
            return None  # nothing is known of items without an answer

        def known(a: Tensor, b: Tensor) -> Tensor:
            x, y = rows[a.cpu().numpy()], rows[b.cpu().numpy()]
            found = snapshot.relations(x, y) != 0
            if len(unsure):
                found |= np.isin(np.minimum(x, y) * n + np.maximum(x, y), unsure)
            return torch.from_numpy(found).to(a.device)

        return known
