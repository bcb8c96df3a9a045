"""A run, opened: its parts, where it stands, what is answered, and what its finished rounds left."""

import copy
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dhaps_core.acquisition.calibration import Calibration, fit_calibration
from dhaps_core.answers.answer import Answer
from dhaps_core.answers.closure import Closure
from dhaps_core.answers.questions import Question
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.answers.store import LabelStore
from dhaps_core.answers.tally import Tally
from dhaps_core.codes import unpack
from dhaps_core.data.items import Items
from dhaps_core.files import at_home, check_digest
from dhaps_core.hashing.network import find_device, relax
from dhaps_core.retrieval.index import HammingIndex
from dhaps_core.seeds import derive_generator
from dhaps_core.session.errors import damaged
from dhaps_core.session.folder import CODES, WEIGHTS, RunFolder
from dhaps_core.session.labels import Labels
from dhaps_core.session.model import Model
from dhaps_core.session.opening import LABELS, begin, check_answers, read_settings, with_stored_splits
from dhaps_core.session.outlook import Outlook
from dhaps_core.session.picking import Picker
from dhaps_core.session.placing import Ask
from dhaps_core.session.proposals import PICKS, Proposal
from dhaps_core.session.rounds import Rounds
from dhaps_core.session.self_test import SelfTest
from dhaps_core.session.settings import Settings

__all__ = ["OpenRun"]


class OpenRun:
    """A run as an :class:`dhaps_core.session.active.ActiveSession` opens it; the rest is told there.

    Attributes:
        read_only: whether nothing of the run can be changed here.
        items: the collection, with the splits of the run.
        settings: of the run.
        store: its label store; what is written through it by hand is checked by nobody.
        labels: which answers of the store count here, where several runs share it.
        closure: what the answers imply, as they were when it was asked last.
    """

    def __init__(
        self,
        folder: str | Path,
        items: Items,
        settings: Settings | None,
        *,
        device: str,
        read_only: bool,
        labels: str | Path | None,
    ) -> None:
        self.device = find_device(device)
        given: tuple[object, object] = (items, settings)
        if not isinstance(given[0], Items) or not isinstance(given[1], Settings | None):
            rule = "items must be an Items, and settings a Settings or None"
            got = f"{type(items).__name__} and {type(settings).__name__}"
            raise ValueError(f"{rule}; got {got}. Make them with dhaps_core.data.sources and Settings(...).")  # noqa: TRY004
        self.folder = RunFolder(folder, read_only=read_only)
        self.read_only = self.folder.read_only
        shared = None if labels is None else at_home(labels).absolute()
        model = begin(self.folder, items, settings or Settings(), self.device, labels=shared)
        self.folder.tidy()
        self._rounds = Rounds(self.folder)
        self.settings, fingerprint, tag = read_settings(self.folder, settings)
        self.items = with_stored_splits(self.folder, items, fingerprint)
        self.model = model or Model(self.items, self.settings, self.device, self.folder.activations)
        if tag is None and shared is not None:
            rule = f"{self.folder.path} must have been begun with a shared label store to be opened with one"
            raise ValueError(f"{rule}; it has its own. Open it without labels, or begin another run.")
        path = self.folder.file(LABELS) if tag is None else shared or self.folder.path.parent / LABELS
        self.store = LabelStore(path, classes=self.items.class_names, create=False, read_only=self.read_only)
        self.labels = Labels(self.items, tag)
        self.labels.settle(self.store.answers())
        check_answers(self.folder, self._rounds, self.store, self.answers())
        references = self.model.references
        self.picker = Picker(
            self.items, self.settings, references=references, folder=self.folder, device=self.device
        )
        self.closure, self._facts = Closure(multi_label=self.items.multi_label), threading.Lock()
        self._all_facts = self.closure if tag is None else Closure(multi_label=self.items.multi_label)
        self._tally = Tally(self.items.position, copies=self.picker.copies)
        self._proposals: dict[int, Proposal] = {}
        self._ahead: dict[int, Proposal] = {}
        self._pool = frozenset(self.picker.rows.tolist())
        self._asked_now: tuple[Any, list[tuple[Question, Ask | None]]] | None = None
        self._outputs: tuple[int, Tensor] | None = None
        self._packed: dict[int, Tensor] = {}
        self._indexes: dict[int, HammingIndex] = {}
        self._outlooks: dict[int, Outlook] = {}
        self._self_test = SelfTest(self.model, self.snapshot, self.picker.place)

    # --- where it stands -----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the folder, as text."""
        return self.folder.path.name.encode("utf-8", "replace").decode()

    @property
    def round(self) -> int:
        """Number of the round in progress, as it is known in memory; 0 is the unsupervised start."""
        return len(self._rounds.rows)

    @property
    def history(self) -> list[dict[str, Any]]:
        """Rows of the finished rounds, as they are known in memory."""
        return copy.deepcopy(self._rounds.rows)

    def refresh(self) -> int:
        """Number of the round in progress, after a look at what others have finished in the folder.

        Raises:
            RunDamaged: if the folder is no longer in place, or the metrics of a round are something else.
        """
        return self._rounds.look()

    def runs_beside(self) -> list[str]:
        """Names of the runs in the folder that this one lies in, its own among them."""
        return sorted(path.parent.name for path in self.folder.path.parent.glob("*/settings.json"))

    def history_beside(self, name: str) -> list[dict[str, Any]]:
        """Rows of the finished rounds of the run of that name beside this one; none where there is none.

        Raises:
            RunDamaged: if a round of it is damaged.
        """
        folder = self.folder.path.parent / name
        return Rounds(RunFolder(folder, read_only=True)).rows if name in self.runs_beside() else []

    def proposal(self, number: int) -> Proposal | None:
        """The picks of any round, or None where none are chosen.

        Raises:
            RunDamaged: if they were chosen, and are missing or something else.
        """
        if (found := self._proposals.get(number)) is None:
            found = Proposal.read(self.folder, number, self.picker.place)
            if found is not None:
                self._proposals[number] = found
            elif 0 < number < self.round and "select" in self._rounds.rows[number]["seconds"]:
                raise damaged(self.folder.file(PICKS, number), "be there", "no file")
        return found

    def proposals(self) -> list[Proposal]:
        """The picks of every round so far, those of the round in progress included where they are chosen."""
        found = map(self.proposal, range(1, self.round + 1))
        return [proposal for proposal in found if proposal is not None]

    # --- what is answered ----------------------------------------------------------------------------------

    def answers(self) -> list[Answer]:
        """Answers that count now in this run, in order."""
        return self.labels.counting(self.store.answers())

    def left_out(self) -> dict[str, int]:
        """Number of answers in the store that do not count in this run, by the reason, in words."""
        return self.labels.left_out(self.store.answers())

    def snapshot(self, upto: int | None = None) -> Snapshot:
        """Frozen view of the answers, now or up to a watermark."""
        return self._snapshot_of(self.labels.counting(self.store.answers(upto)))

    def _snapshot_of(self, answers: Sequence[Answer]) -> Snapshot:
        copies = self.picker.copies
        return Snapshot(self.items.keys, answers, multi_label=self.items.multi_label, copies=copies)

    def counts(self, snapshot: Snapshot | None = None) -> dict[str, int]:
        """Both budgets (items labelled, answers given) and the pairs known, now or in a snapshot."""
        answers = self.answers() if snapshot is None else snapshot.answers
        with self._facts:
            self.closure.update(answers)
            return self._tally.count(self.closure)

    # --- what a finished round left ------------------------------------------------------------------------

    def outputs(self, number: int | None = None) -> Tensor:
        """Real-valued network outputs z of every item [n b] after a finished round (the last by default)."""
        number = self._finished(number)
        if self._outputs is None or self._outputs[0] != number:
            network = self.model.build(number, self._rounds.rows[number].get("layers", {}))
            like, told = network.state_dict(), self._digest_of(WEIGHTS, number)
            network.load_state_dict(self.folder.read_weights(number, like, sha256=told))
            self._outputs = (number, self.model.encode(network))
        return self._outputs[1]

    def weights_file(self, number: int) -> bytes:
        """The safetensors file of the network of a finished round.

        Raises:
            RunDamaged: if it is missing, or another round's.
        """
        path, told = self.folder.file(WEIGHTS, number), self._digest_of(WEIGHTS, number)
        try:
            check_digest(content := path.read_bytes(), told)
        except (OSError, ValueError) as error:
            raise damaged(path, "hold the weights of its round", str(error)) from error
        return content

    def codes(
        self, number: int | None = None, *, rows: Sequence[int] | slice = slice(None)
    ) -> npt.NDArray[np.int8]:
        """Codes in {-1, +1} [n b] after a finished round (the last by default), of all items or some rows."""
        return unpack(self.packed_codes(number)[rows], self.settings.bits).numpy()

    def packed_codes(self, number: int | None = None) -> Tensor:
        """Those codes as they are kept, eight bits a byte: uint8 [n w]."""
        number = self._finished(number)
        if number not in self._packed:
            shape, told = (self.items.n, -(-self.settings.bits // 8)), self._digest_of(CODES, number)
            packed = self.folder.read_array(CODES, number, dtype=np.uint8, shape=shape, sha256=told)
            self._packed[number] = torch.from_numpy(packed)
        return self._packed[number]

    def index(self, number: int | None = None) -> HammingIndex:
        """Search index over the database items' codes after a finished round (the last by default)."""
        number, bits = self._finished(number), self.settings.bits
        if (index := self._indexes.get(number)) is None:
            rows = self.items.splits["database"]
            keys = [self.items.keys[i] for i in rows]
            index = HammingIndex(self.packed_codes(number)[rows], keys, bits=bits)
            self._indexes = {**dict(list(self._indexes.items())[-1:]), number: index}  # two to compare
        return index

    def outlook(self, number: int | None = None) -> Outlook:
        """What the answers up to a finished round (the last by default) brought, and what more may bring.

        It is of the answers alone: labels that nobody gave play no part. Where the method foretells anyway
        the row has it; else it is computed here, once.
        """
        number = self._finished(number)
        if (found := self._outlooks.get(number)) is None:
            row = self._rounds.rows[number]
            found = Outlook.read(row.get("outlook")) or self._judge(row, self.codes(number))
            self._outlooks[number] = found
        return found

    def plausibility(self) -> dict[int, float]:
        """How probable answers are by the others, by row; see :meth:`SelfTest.plausibility`."""
        return self._self_test.plausibility(self.snapshot())

    def _judge(self, row: dict[str, Any], codes: npt.NDArray[np.int8]) -> Outlook:
        """Outlook after a round, from its row and its codes [n b]."""
        rows = [*self._rounds.rows[: row["round"]], row]
        rounds = [(one["watermark"], one["answers"]) for one in rows]
        kind: Literal["class", "pair"] = "class" if self.settings.question == "classes" else "pair"
        return self._self_test.outlook(rounds, codes, kind=kind)

    def theta(self, pairs: Tensor) -> Tensor:
        """<u_a, u_b> / 2 of pairs of positions [p 2], by the last finished round."""
        outputs = self.outputs()  # relaxed one by one: a card asks for a single pair of many items
        return (relax(outputs[pairs[:, 0]]) * relax(outputs[pairs[:, 1]])).sum(1) / 2

    def calibration(self, snapshot: Snapshot) -> Calibration:
        """Log-odds of "same" fitted on what is known among at most 512 supervised items."""
        supervised = torch.tensor(snapshot.supervised)
        generator = derive_generator(self.settings.seed, "calibrate", self.round)
        chosen = supervised[torch.randperm(len(supervised), generator=generator)[:512]].sort().values
        among = chosen[torch.triu_indices(len(chosen), len(chosen), 1)]
        relation = torch.from_numpy(snapshot.relations(*among.numpy()))
        pairs = torch.randint(len(self.picker.rows), (2000, 2), generator=generator)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        return fit_calibration(
            self.theta(among.T), relation, random_theta=self.theta(self.picker.rows[pairs])
        )

    def keep_array(self, name: str, array: npt.NDArray[Any], number: int | None = None) -> None:
        """Keep what is costly to compute from a finished round (the last by default) beside it, of any shape.

        Raises:
            ValueError: if the name is that of the round's codes.
            RunReadOnly: if the run is only looked at.
        """
        if f"{name}.npy" == CODES:
            raise ValueError(f"an array must have a name of its own; got {name!r}. Choose another.")
        self.folder.write_array(f"{name}.npy", array, self._finished(number))

    def kept_array(
        self, name: str, number: int | None = None, *, dtype: npt.DTypeLike, shape: Sequence[int]
    ) -> npt.NDArray[Any] | None:
        """What :meth:`keep_array` kept; None if there is none, or none of this type and shape (-1: any size).

        Warns:
            RunRepaired: if it is damaged, and so has to be computed again.
        """
        return self.folder.read_derived(f"{name}.npy", self._finished(number), dtype=dtype, shape=shape)

    def _digest_of(self, name: str, number: int) -> str | None:
        """Digest of a file as its round tells it, so that no other round's is taken for it."""
        told: str | None = self._rounds.rows[number].get("files", {}).get(name)
        return told

    def _finished(self, number: int | None) -> int:
        """Number of a finished round; the last for None."""
        rounds = self.round
        number = rounds - 1 if number is None else number
        if not 0 <= number < rounds:
            rule = f"codes exist of finished rounds, and {rounds} are finished"
            raise ValueError(f"{rule}; got {number}, counted from 0. Call train() first.")
        return number
