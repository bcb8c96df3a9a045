"""The active session: propose pairs, collect answers, train, evaluate; all of it in a run folder.

A round is a pure function of the items, the answers up to a watermark, the settings and the seed. So a
session that was killed and reopened asks the same next question, and ends with the same numbers.

A run folder holds::

    settings.json   settings, where the items came from, their fingerprint
    splits.npz      the splits, drawn once
    labels.sqlite   every answer, append-only
    metrics.json    one row per finished round
    round-NNN/      picks.json, weights.safetensors, codes.npy (packed), metrics.json (written last)
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dhaps_core.acquisition import Calibration
from dhaps_core.answers import Value
from dhaps_core.bit_entropy import bit_report
from dhaps_core.calibration import fit_calibration
from dhaps_core.closure import Closure
from dhaps_core.codes import pack, sign, unpack
from dhaps_core.evaluation import evaluate_codes
from dhaps_core.items import Items
from dhaps_core.labels import LabelStore
from dhaps_core.model import Model
from dhaps_core.network import find_device, relax
from dhaps_core.picking import Picker
from dhaps_core.questions import Question, Source
from dhaps_core.run_folder import RunFolder
from dhaps_core.search import HammingIndex
from dhaps_core.seeds import derive_generator
from dhaps_core.settings import Settings
from dhaps_core.supervision import Snapshot
from dhaps_core.training import Progress

__all__ = ["ActiveSession", "Proposal"]


@dataclass(frozen=True)
class Proposal:
    """The picks of one round.

    Attributes:
        round: number of the round, from 1.
        pairs: keys of the two items of each pick, in the order of picking.
        scores: per pick: uncertainty, representativeness, diversity, total; empty for random picks.
        certificate: of :class:`dhaps_core.acquisition.Certificate`; empty for random picks.
    """

    round: int
    pairs: tuple[tuple[str, str], ...]
    scores: dict[str, list[float]]
    certificate: dict[str, Any]


class ActiveSession:
    """A run in a folder: opened again, it goes on where it was.

    Args:
        folder: made if it is absent.
        items: the collection. Without queries or labels the session works, and reports no metrics.
        settings: of a new run; of an existing one only to check that they are the same, or None.
        device: where networks and selection run.

    Raises:
        ValueError: if the folder belongs to other items or other settings, or there is no such device.

    Example:
        >>> import tempfile
        >>> from dhaps_core.data import digits
        >>> from dhaps_core.questions import label_oracle
        >>> items = digits(seed=0)
        >>> settings = Settings(picks=5, bits=16, hidden=64)
        >>> session = ActiveSession(tempfile.mkdtemp(), items, settings)
        >>> rows = [session.run_round(label_oracle(items)) for _ in range(2)]
        >>> [row["items_labelled"] for row in rows]
        [0, 10]
    """

    def __init__(
        self, folder: str | Path, items: Items, settings: Settings | None = None, *, device: str = "cpu"
    ) -> None:
        self.device = find_device(device)
        self.folder = RunFolder(folder)
        stored = self.folder.read_json("settings.json")
        self.items, self.settings = self._open(stored, items, settings)
        self.model = Model(self.items, self.settings, self.device)
        if stored is None:  # the items are of the kind that the settings need
            self._describe()
        self.store = LabelStore(self.folder.file("labels.sqlite"))
        self.closure = Closure(multi_label=self.items.multi_label)
        self.picker = Picker(
            self.items,
            self.settings,
            references=self.model.references,
            folder=self.folder,
            device=self.device,
        )
        self.train_rows = self.picker.rows
        self._outputs: tuple[int, Tensor] | None = None

    # --- where the run stands ------------------------------------------------------------------------------

    @property
    def round(self) -> int:
        """Number of the round in progress; 0 is the unsupervised start."""
        return len(self.history)

    @property
    def history(self) -> list[dict[str, Any]]:
        """Rows of the finished rounds."""
        stored = self.folder.read_json("metrics.json")
        return [] if stored is None else list(stored["rounds"])

    def snapshot(self, upto: int | None = None) -> Snapshot:
        """Frozen view of the answers, now or up to a watermark."""
        answers = self.store.answers(upto)
        return Snapshot(self.items.keys, answers, multi_label=self.items.multi_label)

    @property
    def finished(self) -> str | None:
        """Why no further round is possible, or None."""
        if self.round == 0 or self.propose().pairs:
            return None
        return "the budget is spent" if self._picks_left() < 1 else "every pair is answered or implied"

    # --- one round -----------------------------------------------------------------------------------------

    def propose(self) -> Proposal:
        """The picks of the round in progress: chosen at the first call, the same ever after.

        Raises:
            ValueError: before the unsupervised start (round 0) is trained.
        """
        number = self.round
        if number == 0:
            msg = "picks need codes; got a run without its unsupervised start. Call train() once."
            raise ValueError(msg)
        stored = self._stored_proposal(number)
        if stored is not None:
            return stored
        started = time.perf_counter()
        watermark = self.store.watermark()
        snapshot, settings = self.snapshot(watermark), self.settings
        calibrated = settings.question == "pairs" if settings.calibrated is None else settings.calibrated
        earlier = [self._stored_proposal(before) for before in range(1, number)]
        picks = self.picker.choose(
            number,
            snapshot,
            picks=self._picks_left(),
            relaxed=relax(self.outputs(number - 1)),
            earlier=[pair for proposal in earlier if proposal is not None for pair in proposal.pairs],
            calibration=self.calibration(snapshot) if calibrated else None,
        )
        content = {**vars(picks), "watermark": watermark, "seconds": time.perf_counter() - started}
        self.folder.write_json("picks.json", content, number)
        proposal = self._stored_proposal(number)
        assert proposal is not None
        return proposal

    def questions(self) -> list[Question]:
        """Questions of the round in progress that have no answer yet, in the order of asking."""
        proposal = self.propose()
        answers = self.store.answers()
        asked = {answer.question for answer in answers}
        classed = {answer.keys[0] for answer in answers if answer.kind == "class"}
        found = []
        for pick, pair in enumerate(proposal.pairs):
            name = f"{proposal.round}.{pick}"
            if self.settings.question == "pairs":
                found.append(Question(name, "pair", pair, pick))
            else:
                found += [
                    Question(f"{name}.{key}", "class", (key,), pick) for key in pair if key not in classed
                ]
        return [question for question in found if question.id not in asked]

    def answer(self, question: Question, value: Value, *, who: str, seconds: float) -> int:
        """Row of the stored answer; on disk when this returns. A contradiction is refused and stores nothing.

        Args:
            question: from :meth:`questions`; one of an earlier moment is stored under its own pair.
            value: classes, or ``same`` / ``different`` / ``unsure``.
            who: the person or the oracle.
            seconds: how long the answer took.

        Raises:
            dhaps_core.closure.Contradiction: if the answer contradicts earlier ones; it carries their chain.
        """
        stamp: dict[str, Any] = {"who": who, "seconds": seconds, "question": question.id}
        if question.kind == "class":
            return self.store.add_class(question.keys[0], value, check=self.closure.update, **stamp)
        a, b = question.keys
        return self.store.add_pair(a, b, str(value), check=self.closure.update, **stamp)

    def answer_all(self, source: Source, *, who: str = "oracle") -> int:
        """Number of open questions answered by a source (an oracle or a CSV file): all of them, or none.

        Raises:
            dhaps_core.closure.Contradiction: if the answers contradict each other or earlier ones.
            dhaps_core.questions.NoAnswer: if the source cannot answer one of the questions.
        """
        return self._answer_each(self.questions(), source, who)

    def answer_items(self, keys: Sequence[str], source: Source, *, who: str = "oracle") -> int:
        """Number of items given their class by a source, chosen or not, where they have none.

        For labels that are there already, before or between the rounds.

        Args:
            keys: of items that the run trains on: queries teach nothing, and must not.
            source: an oracle or a CSV file.
            who: the source.

        Raises:
            KeyError: if a key is not one of a training item.
            dhaps_core.closure.Contradiction: as :meth:`answer_all`.
            dhaps_core.questions.NoAnswer: as :meth:`answer_all`.
        """
        known = {self.items.keys[i] for i in self.items.splits["train"]}
        if strange := [key for key in keys if key not in known]:
            rule = "keys must be those of training items, never of queries"
            msg = f"{rule}; got {strange[0]!r} and {len(strange) - 1} more. Leave them out."
            raise KeyError(msg)
        classed = {answer.keys[0] for answer in self.store.answers() if answer.kind == "class"}
        questions = [Question(f"item.{key}", "class", (key,), -1) for key in keys if key not in classed]
        return self._answer_each(questions, source, who)

    def train(self, *, progress: Progress | None = None, partial: bool = False) -> dict[str, Any]:
        """Metrics row of the round: trains from scratch on all answers so far, encodes, evaluates, saves.

        Args:
            progress: see :func:`dhaps_core.training.train`; cancelling leaves the round as it was.
            partial: whether questions may still be open.

        Raises:
            ValueError: if questions are open and ``partial`` is false.
        """
        number = self.round
        if number and not partial and (left := self.questions()):
            rule = f"all questions of round {number} must be answered"
            msg = f"{rule}; got {len(left)} open. Answer them, or train(partial=True)."
            raise ValueError(msg)
        watermark = self.store.watermark()
        snapshot = self.snapshot(watermark)
        started = time.perf_counter()
        network, losses = self.model.fit(snapshot, number, progress)
        trained = time.perf_counter()
        outputs = self.model.encode(network)
        encoded = time.perf_counter()
        row: dict[str, Any] = {
            "round": number,
            **self.counts(snapshot),
            **evaluate_codes(self.items, sign(outputs)),
            **bit_report(sign(outputs)[self.train_rows]),
            "losses": losses,
            "watermark": watermark,
        }
        row["seconds"] = {
            "train": trained - started,
            "encode": encoded - trained,
            "evaluate": time.perf_counter() - encoded,
        }
        if (picks := self.folder.read_json("picks.json", number)) is not None:
            row["seconds"]["select"] = picks["seconds"]
        self.folder.write_weights(network.state_dict(), number)
        self.folder.write_array("codes.npy", pack(sign(outputs)).numpy(), number)
        self.folder.write_json("metrics.json", row, number)
        self._outputs = (number, outputs)
        self._write_summary([*self.history, row])
        return row

    def run_round(
        self, source: Source, *, who: str = "oracle", progress: Progress | None = None
    ) -> dict[str, Any]:
        """Metrics row of one whole round with a source of answers; the first is the unsupervised start."""
        if self.round:
            self.answer_all(source, who=who)
        return self.train(progress=progress)

    # --- what a round leaves -------------------------------------------------------------------------------

    def outputs(self, number: int | None = None) -> Tensor:
        """Real-valued network outputs z of every item [n b] after a finished round (the last by default)."""
        number = self.round - 1 if number is None else number
        if self._outputs is None or self._outputs[0] != number:
            network = self.model.build(number)
            network.load_state_dict(self.folder.read_weights(number))
            self._outputs = (number, self.model.encode(network))
        return self._outputs[1]

    def codes(self, number: int | None = None) -> npt.NDArray[np.int8]:
        """Codes in {-1, +1} of every item [n b] after a finished round (the last by default)."""
        number = self.round - 1 if number is None else number
        packed = self.folder.read_array("codes.npy", number) if number >= 0 else None
        if packed is None:
            msg = f"codes exist of finished rounds 0 to {self.round - 1}; got {number}. Call train() first."
            raise ValueError(msg)
        return unpack(torch.from_numpy(packed), self.settings.bits).numpy()

    def index(self, number: int | None = None) -> HammingIndex:
        """Search index over the database items' codes."""
        rows = self.items.splits["database"]
        return HammingIndex(self.codes(number)[rows], [self.items.keys[i] for i in rows])

    def theta(self, pairs: Tensor) -> Tensor:
        """<u_a, u_b> / 2 of pairs of positions [p 2], by the last finished round."""
        u = relax(self.outputs())
        return (u[pairs[:, 0]] * u[pairs[:, 1]]).sum(1) / 2

    def calibration(self, snapshot: Snapshot) -> Calibration:
        """Log-odds of "same" fitted on what is known among at most 512 supervised items."""
        supervised = torch.tensor(snapshot.supervised)
        generator = derive_generator(self.settings.seed, "calibrate", self.round)
        chosen = supervised[torch.randperm(len(supervised), generator=generator)[:512]].sort().values
        upper = torch.triu_indices(len(chosen), len(chosen), 1)
        relation = torch.from_numpy(snapshot.similarity_matrix(chosen.numpy()))[upper[0], upper[1]]
        pairs = torch.randint(len(self.train_rows), (2000, 2), generator=generator)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        return fit_calibration(
            self.theta(chosen[upper.T]), relation, random_theta=self.theta(self.train_rows[pairs])
        )

    def counts(self, snapshot: Snapshot | None = None) -> dict[str, int]:
        """Both budgets, and what the answers imply: items labelled, answers given, pairs known."""
        snapshot = self.snapshot() if snapshot is None else snapshot
        known = snapshot.counts()
        return {
            "items_labelled": len(snapshot.supervised),
            "answers": known.answers,
            "pairs_similar": known.similar,
            "pairs_dissimilar": known.dissimilar,
        }

    # --- inside --------------------------------------------------------------------------------------------

    def _answer_each(self, questions: Sequence[Question], source: Source, who: str) -> int:
        given = [(question.kind, question.keys, source(question), question.id) for question in questions]
        self.store.add_all(given, who=who, check=self.closure.update)
        return len(questions)

    def _describe(self) -> None:
        items = self.items
        items.save_splits(self.folder.file("splits.npz"))
        self.folder.write_json(
            "settings.json",
            {
                "settings": self.settings.to_json(),
                "source": items.source,
                "protocol": items.protocol,
                "fingerprint": items.fingerprint(),
                "versions": {name: version(name) for name in ("dhaps", "torch", "numpy", "scikit-learn")},
            },
        )

    def _open(
        self, stored: dict[str, Any] | None, items: Items, settings: Settings | None
    ) -> tuple[Items, Settings]:
        if stored is None:
            return items, settings or Settings()
        before = Settings.from_json(stored["settings"])
        if settings is not None and settings != before:
            now, was = ({**one.pop("training"), **one} for one in (settings.to_json(), before.to_json()))
            changed = {name: (was[name], now[name]) for name in now if now[name] != was[name]}
            msg = (
                f"settings of a run must stay; got other values (before, now): {changed}. Use another folder."
            )
            raise ValueError(msg)
        return items.with_splits(self.folder.file("splits.npz")), before

    def _stored_proposal(self, number: int) -> Proposal | None:
        stored = self.folder.read_json("picks.json", number)
        if stored is None:
            return None
        pairs = tuple((a, b) for a, b in stored["pairs"])
        return Proposal(number, pairs, stored["scores"], stored["certificate"])

    def _picks_left(self) -> int:
        settings, counts = self.settings, self.counts()
        picks = settings.picks
        if settings.budget_items is not None:
            picks = min(picks, (settings.budget_items - counts["items_labelled"]) // 2)
        if settings.budget_answers is not None:
            per_pick = 2 if settings.question == "classes" else 1
            picks = min(picks, (settings.budget_answers - counts["answers"]) // per_pick)
        return picks

    def _write_summary(self, rounds: list[dict[str, Any]]) -> None:
        stored = self.folder.read_json("settings.json") or {}
        self.folder.write_json("metrics.json", {**stored, "rounds": rounds})
