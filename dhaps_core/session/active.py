"""The active session: propose pairs, collect answers, train, evaluate; all of it in a run folder.

A round is a pure function of the items, the answers up to a watermark, the settings and the seed. So a
session that was killed and reopened asks the same next question, and ends with the same numbers.

A run folder holds::

    settings.json   settings, where the items came from, their fingerprint; makes the folder a run
    splits.npz      the splits, drawn once
    labels.sqlite   every answer, append-only (or in a store that several runs share)
    round-NNN/      picks.json, weights.safetensors, codes.npy (packed), metrics.json (finishes the round)
                    (and ahead.json, pairs to be asked while it is trained)
    metrics.json    the rows of all finished rounds together, and what was noted about the run
    skipped.json    the questions that a person has put behind the others
    owner.lock      held by who chooses, trains or exports; owner.json says who that is
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

from dhaps_core.answers.questions import Answering, Source, round_of
from dhaps_core.codes import bit_report, pack, sign
from dhaps_core.data.items import Items
from dhaps_core.files import at_home, digest
from dhaps_core.find.parts import check_free
from dhaps_core.hashing.encoder import Encoder
from dhaps_core.hashing.methods.piq import ForetellingMethod
from dhaps_core.hashing.training import Progress
from dhaps_core.session.errors import RunInUse
from dhaps_core.session.evaluation import evaluate_codes
from dhaps_core.session.export import check_encoder, export, is_exported
from dhaps_core.session.folder import CODES, WEIGHTS
from dhaps_core.session.relabelling import RelabelledRun
from dhaps_core.session.rounds import METRICS
from dhaps_core.session.settings import Settings

__all__ = ["ActiveSession"]


class ActiveSession(RelabelledRun):
    """A run in a folder, and the only door to it: opened again, it goes on where it was.

    Any number of sessions may be open on one folder. Choosing, training, noting and exporting have one owner
    at a time, and an answer is a transaction of the label store. Which rounds are finished is known in
    memory: a session looks at the folder where it acts (it proposes, asks, answers, trains, notes, exports)
    and in :meth:`refresh`. Until then :attr:`round`, :attr:`history` and what follows from the last round do
    not tell of a round that a second process has finished; and since whatever is written is written by the
    owner, after a look, a second process is at worst refused by :class:`RunInUse`.

    Args:
        folder: made if it is absent; a relative one is taken from the working directory of this moment.
        items: the collection. Without queries or labels the session works, and reports no metrics.
        settings: of a new run; of an existing one only to check that they are the same, or None.
        device: where networks and selection run.
        read_only: whether the run is only looked at; so it is, too, where its folder cannot be written.
        labels: file of a label store that runs on a collection share, made if it is absent: what is answered
            in one is asked in none (:mod:`dhaps_core.session.labels`). None: the store of the run itself, or
            of a run that was begun with a shared one ``labels.sqlite`` in the folder that it lies in.
        result: folder that is kept up to date with what the last finished round has made, to be taken along
            (:func:`dhaps_core.find.loaded.load`); None keeps none. What is half written there is made whole.
        encoder: what made the features of images, as :func:`dhaps_core.hashing.encoder.embedded` returned it;
            without it a result takes no new images.

    Raises:
        ValueError: if the folder belongs to other items or other settings, the one for the result holds
            something else, there is no such device, or what was given is no items or no settings.
        RunDamaged: if a part of the run is missing or damaged (a ValueError, too).
        StoreError: if its label store is.
        RunInUse: if another process is beginning the run just now.
        FileNotFoundError: if there is no run to look at, or the store that runs share was lost.

    Warns:
        RunRepaired: if a part could be made again from others.

    Example:
        >>> import tempfile
        >>> from dhaps_core import Settings, digits, label_oracle
        >>> items = digits(seed=0)
        >>> settings = Settings(picks=5, bits=16, hidden=64)
        >>> session = ActiveSession(tempfile.mkdtemp(), items, settings)
        >>> rows = [session.run_round(label_oracle(items)) for _ in range(2)]
        >>> [row["items_labelled"] for row in rows]
        [0, 10]
    """

    def __init__(
        self,
        folder: str | Path,
        items: Items,
        settings: Settings | None = None,
        *,
        device: str = "cpu",
        read_only: bool = False,
        labels: str | Path | None = None,
        result: str | Path | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        super().__init__(folder, items, settings, device=device, read_only=read_only, labels=labels)
        check_encoder(self, encoder)
        self.encoder = encoder
        self.result = None if result is None or self.read_only else at_home(result).absolute()
        if self.result is not None:
            check_free(self.result)
        last = self.round - 1
        if self.result is not None and last >= 0 and not is_exported(self, last, self.result):
            with suppress(RunInUse), self.folder.owned("keeps its result", patience=0.0):
                export(self, last, self.result, encoder)  # else who is at work does it

    def train(self, *, progress: Progress | None = None, partial: bool = False) -> dict[str, Any]:
        """Metrics row of the round: trains from scratch on all answers so far, encodes, evaluates, saves.

        Args:
            progress: see :func:`dhaps_core.hashing.training.train`; cancelling leaves the round as it was.
            partial: whether questions may still be open.

        Raises:
            ValueError: if questions are open and ``partial`` is false.
            RunInUse: if somebody else is changing the run, or has finished this round; nothing is written.
            OSError: if the result cannot be written; the round is finished, and the result is made whole when
                the run is opened again.
            RunReadOnly: if the run is only looked at.
        """
        with self._round("trains") as number:
            if number and not partial and (left := self.left):
                rule = f"all questions of round {number} must be answered"
                raise ValueError(f"{rule}; got {left} open. Answer them, or train(partial=True).")
            return self._train(number, progress)

    def run_round(
        self, source: Source | Answering, *, who: str | None = None, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Metrics row of one whole round with a source of answers; the first is the unsupervised start.

        Arguments and errors are those of :meth:`answer_all` and :meth:`train`.
        """
        with self._round("answers and trains") as number:
            if number:
                self.answer_all(source, who=who)
            return self.train(progress=progress)

    def note(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a fact about the run in its ``metrics.json``, under a name; later rounds leave it there.

        Raises:
            ValueError: if the name is one of the run's own, or the content is no JSON.
            RunInUse: if somebody else is changing the run.
            RunReadOnly: if the run is only looked at.
        """
        with self.folder.owned(f"notes {name!r}"):
            self._rounds.note(name, content)

    def noted(self, name: str) -> dict[str, Any] | None:
        """What :meth:`note` kept under a name; None where nothing was."""
        found = (self.folder.read_json(METRICS) or {}).get(name)
        return dict(found) if isinstance(found, dict) else None

    def export(self, folder: str | Path) -> Path:
        """Absolute folder with the result of the last finished round, to take along; see `dhaps_core.find`.

        Args:
            folder: made if it is absent. The result of another round or run is replaced as a whole.

        Raises:
            ValueError: before the unsupervised start (round 0) is trained, or if the folder is none, or holds
                files of something else that would be replaced.
            RunDamaged: if something is in the way in the folder; the result before stays.
            RunInUse: if somebody else is changing the run.
        """
        folder = at_home(folder).absolute()
        with self.folder.owned("exports it") if not self.read_only else nullcontext():
            export(self, self.refresh() - 1, folder, self.encoder)
        return folder

    @contextmanager
    def _round(self, doing: str) -> Iterator[int]:
        """Number of the round in progress, which nobody else can finish meanwhile."""
        number = self.refresh()
        with self.folder.owned(f"{doing} round {number}"):
            self._check_round(number)
            yield number

    def _check_round(self, number: int) -> None:
        if self.refresh() != number:
            rule = f"round {number} of {self.name} must be the one in progress; somebody else has finished it"
            raise RunInUse(f"{rule} meanwhile. Look at it, then run the next one.")

    def _train(self, number: int, progress: Progress | None) -> dict[str, Any]:
        watermark = self.store.watermark()
        snapshot = self.snapshot(watermark)
        started = time.perf_counter()
        network, losses = self.model.fit(snapshot, number, progress)
        trained = time.perf_counter()
        outputs = self.model.encode(network)
        encoded, codes = time.perf_counter(), sign(outputs)
        row: dict[str, Any] = {
            "round": number,
            **self.counts(snapshot),
            **evaluate_codes(self.items, codes),
            **bit_report(codes[self.picker.rows]),
            "losses": losses,
            "learner": {"method": self.settings.method, **network.learned},
            "layers": self.model.method.sizes(network),
            "watermark": watermark,
        }
        if unasked := sum(round_of(one.question) is None for one in snapshot.answers):
            row["answers_unasked"] = unasked  # of other runs, or given: no strategy of this run chose them
        row["seconds"] = {
            "train": trained - started,
            "encode": encoded - trained,
            "evaluate": time.perf_counter() - encoded,
        }
        if number and isinstance(self.model.method, ForetellingMethod):  # then it costs next to nothing
            judged = time.perf_counter()
            row["outlook"] = self._judge(row, codes.to(torch.int8).numpy()).to_json()
            row["seconds"]["outlook"] = time.perf_counter() - judged
        if (proposal := self.proposal(number)) is not None:
            row["seconds"]["select"] = proposal.seconds
        self._check_round(number)  # where the disk has no locks, this is what keeps two apart
        self.folder.write_weights(network.state_dict(), number)
        self.folder.write_array(CODES, pack(codes).numpy(), number)
        row["files"] = {name: digest(self.folder.file(name, number)) for name in (WEIGHTS, CODES)}
        self._rounds.finish(row)
        self._outputs = (number, outputs)
        if self.result is not None:
            export(self, number, self.result, self.encoder)
        return row
