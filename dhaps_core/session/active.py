"""The active session: propose pairs, collect answers, train, evaluate; all of it in a run folder.

A round is a pure function of the items, the answers up to a watermark, the settings and the seed. So a
session that was killed and reopened asks the same next question, and ends with the same numbers.

A run folder holds::

    settings.json   settings, where the items came from, their fingerprint; makes the folder a run
    splits.npz      the splits, drawn once
    labels.sqlite   every answer, append-only
    round-NNN/      picks.json, weights.safetensors, codes.npy (packed), metrics.json (finishes the round)
    metrics.json    the rows of all finished rounds together, and what was noted about the run
    owner.lock      held by who chooses, trains or exports; owner.json says who that is

Any number of sessions may be open on one folder. Whatever they do, they read the state first; choosing,
training and exporting have one owner at a time, and an answer is a transaction of the label store.
"""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dhaps_core.acquisition.calibration import fit_calibration
from dhaps_core.acquisition.problem import Calibration
from dhaps_core.acquisition.strategies import STRATEGIES
from dhaps_core.answers.answer import Answer, Value
from dhaps_core.answers.closure import Closure
from dhaps_core.answers.questions import Answering, PersonAsked, Question, Source, question_name, round_of
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.answers.store import LabelStore
from dhaps_core.bit_entropy import bit_report
from dhaps_core.checked_files import RunDamaged, damaged
from dhaps_core.codes import pack, sign, unpack
from dhaps_core.data.items import Items
from dhaps_core.files import at_home, digest
from dhaps_core.hashing.network import find_device, relax
from dhaps_core.hashing.training import Progress
from dhaps_core.retrieval.index import HammingIndex
from dhaps_core.seeds import derive_generator
from dhaps_core.session.evaluation import evaluate_codes
from dhaps_core.session.export import export
from dhaps_core.session.finished_rounds import count_rounds, note, read_rounds, write_summary
from dhaps_core.session.folder import RunFolder, RunRepaired
from dhaps_core.session.model import Model
from dhaps_core.session.opening import (
    check_answers,
    check_new,
    check_settings,
    check_splits,
    open_folder,
    read_settings,
    start,
)
from dhaps_core.session.owner import RunInUse, RunReadOnly
from dhaps_core.session.picking import Picker
from dhaps_core.session.proposals import Proposal, asked_questions, read_picks, read_proposal
from dhaps_core.session.settings import Settings

__all__ = [
    "ActiveSession",
    "PersonAsked",
    "Proposal",
    "RunDamaged",
    "RunInUse",
    "RunReadOnly",
    "RunRepaired",
]


WEIGHTS, CODES = "weights.safetensors", "codes.npy"


class ActiveSession:
    """A run in a folder: opened again, it goes on where it was.

    Args:
        folder: made if it is absent; a relative one is taken from the working directory of this moment.
        items: the collection. Without queries or labels the session works, and reports no metrics.
        settings: of a new run; of an existing one only to check that they are the same, or None.
        device: where networks and selection run.
        read_only: whether the run is only looked at; so it is, too, where its folder cannot be written.

    Attributes:
        read_only: whether nothing of the run can be changed here.

    Raises:
        ValueError: if the folder belongs to other items or other settings, there is no such device, or what
            was given is no items or no settings.
        RunDamaged: if a part of the run is missing or damaged (a ValueError, too).
        StoreError: if its label store is.
        RunInUse: if another process is beginning the run just now.
        FileNotFoundError: if there is no run to look at.

    Warns:
        RunRepaired: if a part could be made again from others.

    Example:
        >>> import tempfile
        >>> from dhaps_core.data.sources import digits
        >>> from dhaps_core.answers.questions import label_oracle
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
    ) -> None:
        self.device = find_device(device)
        given: tuple[object, object] = (items, settings)
        if not isinstance(given[0], Items) or not isinstance(given[1], Settings | None):
            rule = "items must be an Items, and settings a Settings or None"
            got = f"{type(items).__name__} and {type(settings).__name__}"
            raise ValueError(f"{rule}; got {got}. Make them with dhaps_core.data.sources and Settings(...).")  # noqa: TRY004
        self.folder = RunFolder(folder, read_only=read_only)
        self.read_only = self.folder.read_only
        model = self._begin(items, settings or Settings())
        open_folder(self.folder)
        self.items, self.settings = self._open(items, settings)
        self.model = model or Model(self.items, self.settings, self.device)
        path = self.folder.file("labels.sqlite")
        self.store = LabelStore(path, classes=self.items.class_names, create=False, read_only=self.read_only)
        check_answers(self.folder, self.store)
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
        return count_rounds(self.folder)

    @property
    def history(self) -> list[dict[str, Any]]:
        """Rows of the finished rounds."""
        return read_rounds(self.folder)

    def snapshot(self, upto: int | None = None) -> Snapshot:
        """Frozen view of the answers, now or up to a watermark."""
        answers = self.store.answers(upto)
        return Snapshot(
            self.items.keys, answers, multi_label=self.items.multi_label, copies=self.picker.copies
        )

    @property
    def finished(self) -> str | None:
        """Why no further round is possible, or None."""
        if self.round == 0 or (proposal := self.propose()).pairs:
            return None
        chosen = self.snapshot(read_picks(self.folder, proposal.round, self.picker.place)["watermark"])
        return "the budget is spent" if self._picks_left(chosen) < 1 else self.picker.why_none(chosen)

    @property
    def reserved(self) -> str | None:
        """Why no oracle and no file may answer the open questions of the round, or None if one may."""
        number = self.round
        if number == 0:
            return None
        return self._people(self.questions(), self.store.answers(), but=None, shown=True)

    # --- one round -----------------------------------------------------------------------------------------

    def propose(self) -> Proposal:
        """The picks of the round in progress: chosen at the first call, the same ever after.

        Raises:
            ValueError: before the unsupervised start (round 0) is trained.
            RunInUse: if they are not chosen yet, and somebody else is changing the run.
            RunReadOnly: if they are not chosen yet, and the run is only looked at.
        """
        number = self.round
        if number == 0:
            raise ValueError("picks need codes; got a run without its unsupervised start. Call train() once.")
        if (stored := self.proposal(number)) is not None:
            return stored
        with self.folder.owned(f"chooses the pairs of round {number}"):
            number = self.round
            stored = self.proposal(number)
            return self._choose(number) if stored is None else stored

    def proposal(self, number: int) -> Proposal | None:
        """The picks of any round, or None where none are chosen.

        Raises:
            RunDamaged: if they were chosen, and are missing or something else.
        """
        found = read_proposal(self.folder, number, self.picker.place)
        if found is None and 0 < number < self.round and "select" in self.history[number]["seconds"]:
            raise damaged(self.folder.file("picks.json", number), "be there", "no file")
        return found

    def questions(self) -> list[Question]:
        """Questions of the round in progress that have no answer yet, in the order of asking."""
        proposal = self.propose()
        answered = {(answer.kind, answer.keys) for answer in self.store.answers()}
        asked = asked_questions(proposal, self.settings.question)
        return [question for question in asked if question.about not in answered]

    def show_questions(self, who: str) -> None:
        """Remember that a person sees the questions of the round in progress, so that no oracle answers them.

        Args:
            who: the person.
        """
        number = self.round
        if number and not self.read_only and not self.folder.file("asked.json", number).exists():
            self.folder.write_json("asked.json", {"who": who}, number)

    def answer(self, question: Question, value: Value, *, who: str, seconds: float) -> int:
        """Row of the stored answer; on disk when this returns. A contradiction is refused and stores nothing.

        Args:
            question: from :meth:`questions`; one of an earlier moment is stored under its own pair.
            value: classes, or ``same`` / ``different`` / ``unsure``.
            who: the person or the oracle.
            seconds: how long the answer took.

        Raises:
            Contradiction: if the answer contradicts earlier ones; it carries their chain.
            ValueError: if the question is none that this run can have asked by now: about other items than
                those that it trains on, or of a later round.
            RunReadOnly: if the run is only looked at.
        """
        self.folder.check_writable()
        self._check_question(question)

        def check(answers: Sequence[Answer]) -> None:
            self._check_asked(question)
            self.closure.update(answers)

        stamp: dict[str, Any] = {"who": who, "seconds": seconds, "question": question.id, "check": check}
        if question.kind == "class":
            return self.store.add_class(question.keys[0], value, **stamp)
        a, b = question.keys
        return self.store.add_pair(a, b, str(value), **stamp)

    def answer_all(
        self, source: Source | Answering, *, who: str | None = None, handed_over: bool = False
    ) -> int:
        """Number of open questions answered by a source (an oracle or a CSV file): all of them, or none.

        Args:
            source: a `questions.Source`, stored under its own name, or any function.
            who: name of a function; ``oracle`` by default. A source has its own, and never a person's.
            handed_over: whether the person who was shown the questions leaves them to the source. Where the
                person has answered one of them, they stay the person's.

        Raises:
            PersonAsked: if a person was asked, or answers just now.
            Contradiction: if the answers contradict each other or earlier ones.
            NoAnswer: if the source cannot answer one of the questions.
            ValueError: if ``who`` is another name than the source's own.
        """
        return self._answer_each(self.questions(), source, who, handed_over=handed_over)

    def answer_items(self, keys: Sequence[str], source: Source | Answering, *, who: str | None = None) -> int:
        """Number of items given their class by a source, chosen or not, where they have none.

        For labels that are there already, before or between the rounds.

        Args:
            keys: of items that the run trains on: queries teach nothing, and must not.
            source: as :meth:`answer_all`.
            who: as :meth:`answer_all`.

        Raises:
            KeyError: if a key is not one of a training item.
            PersonAsked: as :meth:`answer_all`, if a person was asked about one of them.
            Contradiction: as :meth:`answer_all`.
            NoAnswer: as :meth:`answer_all`.
            ValueError: as :meth:`answer_all`.
        """
        known = {self.items.keys[i] for i in self.items.splits["train"]}
        if strange := [key for key in keys if key not in known]:
            rule = "keys must be those of training items, never of queries"
            raise KeyError(f"{rule}; got {strange[0]!r} and {len(strange) - 1} more. Leave them out.")
        classed = {answer.keys[0] for answer in self.store.answers() if answer.kind == "class"}
        wanted = [key for key in dict.fromkeys(keys) if key not in classed]
        questions = [Question(question_name(None, (key,)), "class", (key,), -1) for key in wanted]
        return self._answer_each(questions, source, who, handed_over=False)

    def train(self, *, progress: Progress | None = None, partial: bool = False) -> dict[str, Any]:
        """Metrics row of the round: trains from scratch on all answers so far, encodes, evaluates, saves.

        Args:
            progress: see :func:`dhaps_core.hashing.training.train`; cancelling leaves the round as it was.
            partial: whether questions may still be open.

        Raises:
            ValueError: if questions are open and ``partial`` is false.
            RunInUse: if somebody else is changing the run, or has finished this round; nothing is written.
            RunReadOnly: if the run is only looked at.
        """
        with self._round("trains") as number:
            if number and not partial and (left := self.questions()):
                rule = f"all questions of round {number} must be answered"
                raise ValueError(f"{rule}; got {len(left)} open. Answer them, or train(partial=True).")
            return self._train(number, progress)

    def run_round(
        self, source: Source | Answering, *, who: str | None = None, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Metrics row of one whole round with a source of answers; the first is the unsupervised start.

        Args:
            source: as :meth:`answer_all`.
            who: as :meth:`answer_all`.
            progress: as :meth:`train`.

        Raises:
            RunInUse: as :meth:`train`.
            PersonAsked: as :meth:`answer_all`.
        """
        with self._round("answers and trains") as number:
            if number:
                self.answer_all(source, who=who)
            return self.train(progress=progress)

    def note(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a fact about the run in its ``metrics.json``, under a name; later rounds leave it there.

        Raises:
            ValueError: if the name is one of the run's own.
            RunInUse: if somebody else is changing the run.
            RunReadOnly: if the run is only looked at.
        """
        with self.folder.owned(f"notes {name!r}"):
            note(self.folder, name, content)

    def export(self, folder: str | Path) -> Path:
        """Absolute folder with codes, index and answers of the last finished round; see `export`.

        Args:
            folder: made if it is absent. An export of another round or run is replaced as a whole.

        Raises:
            ValueError: before the unsupervised start (round 0) is trained, or if the folder is none.
            RunDamaged: if something is in the way in the folder; the export before stays.
            RunInUse: if somebody else is changing the run.
        """
        folder = at_home(folder).absolute()
        with self.folder.owned("exports it") if not self.read_only else nullcontext():
            number = self.round - 1
            name = self.folder.path.name.encode("utf-8", "replace").decode()  # names of files may be no text
            export(
                folder,
                codes=self.codes(number),
                keys=self.items.keys,
                database=self.items.splits["database"],
                store=self.store,
                about={"run": name, "round": number},
            )
        return folder

    # --- what a round leaves -------------------------------------------------------------------------------

    def outputs(self, number: int | None = None) -> Tensor:
        """Real-valued network outputs z of every item [n b] after a finished round (the last by default)."""
        number = self._finished(number)
        if self._outputs is None or self._outputs[0] != number:
            network = self.model.build(number)
            network.load_state_dict(self.folder.read_weights(number, network.state_dict()))
            self._check_file(WEIGHTS, number)
            self._outputs = (number, self.model.encode(network))
        return self._outputs[1]

    def codes(self, number: int | None = None) -> npt.NDArray[np.int8]:
        """Codes in {-1, +1} of every item [n b] after a finished round (the last by default)."""
        number, bits = self._finished(number), self.settings.bits
        shape = (self.items.n, -(-bits // 8))
        packed = self.folder.read_array(CODES, number, dtype=np.uint8, shape=shape)
        if packed is None:
            raise damaged(self.folder.file(CODES, number), "be there", "no file")
        self._check_file(CODES, number)
        return unpack(torch.from_numpy(packed), bits).numpy()

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
            "items_labelled": len(snapshot.answered),
            "answers": known.answers,
            "pairs_similar": known.similar,
            "pairs_dissimilar": known.dissimilar,
        }

    # --- inside --------------------------------------------------------------------------------------------

    def _begin(self, items: Items, settings: Settings) -> Model | None:
        """The model of a run that began here and now; None of one that was there."""
        if self.folder.file("settings.json").exists():
            return None
        check_new(self.folder)
        STRATEGIES[settings.acquisition].check_installed()
        model = Model(items, settings, self.device)  # what cannot be is refused before anything is written
        return model if start(self.folder, items, settings.to_json()) else None

    def _open(self, items: Items, settings: Settings | None) -> tuple[Items, Settings]:
        stored = read_settings(self.folder)
        try:
            before = Settings.from_json(stored["settings"])
        except (ValueError, TypeError) as error:
            rule = "hold settings that this dhaps knows"
            raise damaged(self.folder.file("settings.json"), rule, str(error)) from error
        check_settings(self.folder, stored)
        if settings is not None and settings != before:
            now, was = ({**one.pop("training"), **one} for one in (settings.to_json(), before.to_json()))
            changed = {name: (was[name], now[name]) for name in now if now[name] != was[name]}
            raise ValueError(
                f"settings of a run must stay; got other values (before, now): {changed}. Use another folder."
            )
        check_splits(self.folder, items, stored["fingerprint"])
        return items.with_splits(self.folder.file("splits.npz")), before

    @contextmanager
    def _round(self, doing: str) -> Iterator[int]:
        """Number of the round in progress, which nobody else can finish meanwhile."""
        number = self.round
        with self.folder.owned(f"{doing} round {number}"):
            self._check_round(number)
            yield number

    def _check_round(self, number: int) -> None:
        if self.round != number:
            rule = f"round {number} of {self.folder.path.name} must be the one in progress"
            raise RunInUse(
                f"{rule}; somebody else has finished it meanwhile. Look at it, then run the next one."
            )

    def _finished(self, number: int | None) -> int:
        """Number of a finished round; the last for None."""
        rounds = self.round
        number = rounds - 1 if number is None else number
        if not 0 <= number < rounds:
            raise ValueError(
                f"codes exist of finished rounds 0 to {rounds - 1}; got {number}. Call train() first."
            )
        return number

    def _choose(self, number: int) -> Proposal:
        started = time.perf_counter()
        watermark = self.store.watermark()
        snapshot = self.snapshot(watermark)
        if given := sum(round_of(answer.question) == number for answer in snapshot.answers):
            path = self.folder.file("picks.json", number)
            told = f"{path} was missing, though {given} of its questions are answered"
            warnings.warn(f"{told}; pairs are chosen anew, and the answers count.", RunRepaired, stacklevel=4)
        picks = self.picker.choose(
            number,
            snapshot,
            picks=self._picks_left(snapshot),
            relaxed=relax(self.outputs(number - 1)),
            earlier=lambda: self._earlier(number),
            calibration=lambda: self.calibration(snapshot),
        )
        content = {
            **vars(picks),
            "watermark": watermark,
            "seal": self.store.seal(watermark),
            "seconds": time.perf_counter() - started,
        }
        self.folder.write_json("picks.json", content, number)
        return Proposal(number, tuple(picks.pairs), picks.scores, picks.certificate)

    def _earlier(self, number: int) -> list[tuple[str, str]]:
        """Pairs chosen before a round."""
        proposals = (self.proposal(before) for before in range(1, number))
        return [pair for proposal in proposals if proposal is not None for pair in proposal.pairs]

    def _train(self, number: int, progress: Progress | None) -> dict[str, Any]:
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
        self._check_round(number)  # where the disk has no locks, this is what keeps two apart
        self.folder.write_weights(network.state_dict(), number)
        self.folder.write_array(CODES, pack(sign(outputs)).numpy(), number)
        row["files"] = {name: digest(self.folder.file(name, number)) for name in (WEIGHTS, CODES)}
        self.folder.write_json("metrics.json", row, number)  # from here on the round is finished
        self._outputs = (number, outputs)
        write_summary(self.folder, self.history)
        return row

    def _check_file(self, name: str, number: int) -> None:
        """Refuse a file of a round that another round or run has made."""
        told, path = self.history[number].get("files", {}).get(name), self.folder.file(name, number)
        if told is not None and told != digest(path):
            raise damaged(path, "be what its round has made", "something else")

    def _answer_each(
        self,
        questions: Sequence[Question],
        source: Source | Answering,
        who: str | None,
        *,
        handed_over: bool,
    ) -> int:
        self.folder.check_writable()
        name = source.name if isinstance(source, Source) else who or "oracle"
        if who not in (None, name):
            raise ValueError(
                f"a source must answer under its own name, {name!r}; got who={who!r}. Leave who out."
            )

        def leave_to_people(answers: Sequence[Answer]) -> None:
            if said := self._people(questions, answers, but=name, shown=not handed_over):
                raise PersonAsked(said)

        def check(answers: Sequence[Answer]) -> None:
            leave_to_people(answers)  # again, now that nobody else can write
            self.closure.update(answers)

        leave_to_people(self.store.answers())
        given = [(question.kind, question.keys, source(question), question.id) for question in questions]

        self.store.add_all(given, who=name, check=check)
        return len(questions)

    def _check_question(self, question: Question) -> None:
        if len(question.keys) != {"class": 1, "pair": 2}.get(question.kind):
            rule = "a question must be about the class of one item, or about a pair of two"
            got = f"{question.kind!r} of {len(question.keys)}"
            raise ValueError(f"{rule}; got {got}. Take it from questions().")
        if strange := [key for key in question.keys if key not in self.picker.place]:
            rule = "a question must be about items that the run trains on, never about queries"
            raise ValueError(f"{rule}; got {strange[0]!r:.80}. Take it from questions() of this run.")

    def _check_asked(self, question: Question) -> None:
        if (asked := round_of(question.id) or 0) > (now := self.round):
            rule = f"a question must be of round {now} or before"
            raise ValueError(f"{rule}; got one of round {asked}. Take it from questions() of this run.")

    def _people(
        self, questions: Sequence[Question], answers: Sequence[Answer], *, but: str | None, shown: bool
    ) -> str | None:
        """Which people some questions are left to, in a sentence, or None.

        Args:
            questions: to be answered.
            answers: that count.
            but: who does not count as a person here.
            shown: whether it is enough that the questions were shown to somebody.
        """
        number = self.round
        proposal = self.proposal(number)
        if proposal is None:
            return None
        asked = {one.about for one in asked_questions(proposal, self.settings.question)}
        if not (left := sum(one.about in asked for one in questions)):
            return None
        who = {one.who for one in answers if round_of(one.question) == number}
        if shown and (marker := self.folder.read_json("asked.json", number)) is not None:
            who.add(str(marker.get("who")))
        people = sorted(name for name in who if name != but and not Source.named(name))
        if not people:
            return None
        rule = f"questions that {', '.join(people)} was asked must be left to them"
        return f"{rule}; {left} of round {number} are open. Answer them, or use another folder."

    def _picks_left(self, snapshot: Snapshot) -> int:
        settings, counts = self.settings, self.counts(snapshot)
        picks = settings.picks
        if settings.budget_items is not None:
            picks = min(picks, (settings.budget_items - counts["items_labelled"]) // 2)
        if settings.budget_answers is not None:
            per_pick = 2 if settings.question == "classes" else 1
            picks = min(picks, (settings.budget_answers - counts["answers"]) // per_pick)
        return picks
