"""The run in use, shared by every card of a notebook: one session, the work in its background, who listens.

A run's settings never change, nor do its items. Choosing other settings opens another run, in a folder of its
own beside the first; choosing earlier settings again goes back to the run that has them, with its rounds. So
it is where files were added, removed or renamed: a run of the collection as it is now begins beside the old
one, and one line says so. Answers outlive all of them: they lie in one store, ``labels.sqlite`` beside the
runs, and count in every run. What is answered in one is asked in none. Only the run of random pairs, which an
oracle answers for comparison, keeps its answers to itself.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from dhaps_core.answers.answer import check_name
from dhaps_core.answers.questions import Source, label_oracle
from dhaps_core.data.items import Items
from dhaps_core.files import at_home
from dhaps_core.hashing.encoder import Encoder
from dhaps_core.json_files import DamagedFileError
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.collection import changes, remember
from dhaps_core.session.opening import LABELS
from dhaps_core.session.settings import Settings
from widgets.background import Job, Report
from widgets.pictures import Pictures
from widgets.progress import Estimate, Work
from widgets.run_names import RunNames, run_name

__all__ = ["Change", "Workbench"]

LOG = logging.getLogger(__name__)
Change = Literal["answers", "busy", "round", "idle", "run"]
EVERY = 0.1  # seconds between two reports of the work


class Workbench:
    """A collection, the run in use, and everything that must hear when either changes.

    Args:
        folder: holds one folder for each run; a relative one is taken from the directory of this moment.
        items: the collection.
        settings: of the run to begin with.
        who: the person at the keyboard; stored with every answer.
        device: where networks run.
        result: folder kept up to date with the last finished round of the run in use; None keeps none.
        encoder: what made the features of the images, for that result.
        guideline: what to judge by, in the person's own words: the first line is the question on the card,
            the rest stands below it. Kept with every run that is opened under it.

    Attributes:
        session: the run in use.
        pictures: encoded pictures, shared by the cards.
        job: the work in the background.
        busy: why the run in use stands where it is just now, or None.
        in_training: number of the round that is being trained, or None.
        work: how far the work in the background is, or None.
        news: what has changed since the bench was opened last, in one line: files that came and went, answers
            that count, the run that begins; empty where nothing has.
    """

    def __init__(
        self,
        folder: str | Path,
        items: Items,
        settings: Settings,
        *,
        who: str = "me",
        device: str = "cpu",
        result: str | Path | None = None,
        encoder: Encoder | None = None,
        guideline: str = "",
    ) -> None:
        if not isinstance(who, str) or not who.strip() or Source.named(who):
            rule = "who must be the name of a person; 'oracle', 'folders' and 'csv:...' are of other sources"
            raise ValueError(f"{rule}; got {who!r}. Write your own.")
        check_name(who)
        self.folder, self.items, self.who, self.device = at_home(folder).absolute(), items, who, device
        self.result, self.encoder = None if result is None else at_home(result).absolute(), encoder
        self.pictures = Pictures(items)
        self.job = Job()
        self.guideline = guideline.strip()
        self.busy: str | None = None
        self.in_training: int | None = None
        self.work: Work | None = None
        self._listeners: list[Callable[[Change], object]] = []
        self._followers: list[Callable[[], object]] = []
        self._starting = threading.Lock()
        self._next: tuple[Source | None, bool] | None = None  # a round that waits for the work to end
        self._names = RunNames(self.folder, items)
        self.session, self.news = self._look_around(settings)
        self._keep_guideline()
        # The splits of the run count from here on, whatever the items came with.
        self.items = self.session.items

    def listen(self, listener: Callable[[Change], object]) -> None:
        """Call a function with what has changed: answers, work begun or ended, the round, or the run."""
        self._listeners.append(listener)

    def follow(self, follower: Callable[[], object]) -> None:
        """Call a function whenever :attr:`work` has changed; often, and in the thread of the work."""
        self._followers.append(follower)

    def tell(self, change: Change) -> None:
        """Tell everybody that something changed; a listener that fails is logged, and the rest still hear."""
        for listener in self._listeners:
            try:
                listener(change)
            except Exception:
                LOG.exception("A card could not follow the change %r.", change)

    def use(self, settings: Settings) -> bool:
        """Whether the run in use is now one with these settings; not while a round is being trained.

        Raises:
            ValueError: if a run with these settings cannot be, or is damaged; the run in use stays.
            RunInUse: if another process is beginning that run just now; the run in use stays.
        """
        if self.job.running:
            return False
        if settings != self.session.settings:
            self.session.refresh()  # moved away, the runs beside it would seem never to have begun
            self.session = self._open(settings)
            self._keep_guideline()
            self.tell("run")
        return True

    def exists(self, settings: Settings) -> bool:
        """Whether there is already a run with these settings on the items as they are now."""
        return (self.folder / self.name_of(settings) / "settings.json").exists()

    def name_of(self, settings: Settings) -> str:
        """Folder name of the run with these settings on the items as they are now, begun or not."""
        return self._names.shared(settings)

    def runs(self) -> dict[str, list[dict[str, Any]]]:
        """Rounds of the run in use and of random pairs on the same seed, as figures want them."""
        session, baseline = self.session, self.baseline
        runs = {f"{session.settings.acquisition}/run": session.history}
        if baseline != session.settings:
            name = self._names.alone(baseline)
            runs["random/run"] = session.history_beside(name)[: session.round]
        return {name: rounds for name, rounds in runs.items() if rounds}

    @property
    def baseline(self) -> Settings:
        """Settings of the run that picks at random and is otherwise the same."""
        return replace(self.session.settings, acquisition="random")

    def run_round(self, *, source: Source | None = None, baseline: bool = False) -> bool:
        """Whether a round was started in the background, or will be as soon as the work there ends.

        A round that is being trained cannot be started again; what follows it (pairs chosen ahead, random
        pairs for comparison) only has to end. ``job.error`` and ``job.cancelled`` tell how it went.

        Args:
            source: answers the questions still open, as the oracle does for teaching, unless the person has
                answered some of them; without it questions that nobody answered stay out of the training.
            baseline: whether random pairs on the same seed follow, answered from the items' labels.
        """
        with self._starting:
            if self.busy is not None:
                return False
            self.in_training = self.session.refresh()
            self.busy = f"Round {self.in_training} is being trained."
            self._next = source, baseline
            if not self.job.running:
                self._begin()
        self.tell("busy")
        return True

    def prepare(self) -> None:
        """In the background: the unsupervised start where there is none yet, else pairs to be asked ahead."""
        if self.session.refresh() == 0:
            self.run_round()
            return
        with self._starting:
            if self.busy is None and not self.job.running:
                self.job.start(lambda _: self.session.choose_ahead(), done=self._finish)

    def _begin(self) -> None:
        """Start the round that is next, now that nothing is at work."""
        assert self._next is not None
        (source, baseline), self._next = self._next, None
        rows = self.session.history
        # A round takes about as long as the last; the first one starts from nothing, and is another matter.
        estimate = Estimate(sum(rows[-1]["seconds"].values()) if len(rows) > 1 else None)
        stage, last = f"Round {self.in_training} is being trained", 0.0

        def show(step: int = 0, steps: int = 0) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= EVERY or step in (0, steps):
                last = now
                self._show_work(estimate.at(stage, step, steps))

        def work(report: Report) -> None:
            nonlocal stage, estimate
            session = self.session
            if source is not None and session.round:
                session.answer_all(source, handed_over=True)  # by the person's own switch
            session.train(progress=report, partial=True)
            stage = "The next pairs are being chosen"
            show()
            session.propose()
            self.busy = self.in_training = None
            stage, estimate = "Pairs to ask ahead are being chosen", Estimate(None)
            show()
            self.tell("round")
            session.choose_ahead()
            if baseline and self.items.labels is not None and self.baseline != session.settings:
                stage, estimate = "Random pairs, for comparison", Estimate(None)
                show()
                folder = self.folder / self._names.alone(self.baseline)
                other = ActiveSession(folder, self.items, self.baseline, device=self.device)
                while other.round < session.round:
                    other.run_round(label_oracle(self.items), progress=report)

        show()
        self.job.start(work, progress=show, done=self._finish)

    def _finish(self) -> None:
        with self._starting:
            if self._next is not None and self.job.error is None and not self.job.cancelled:
                self._begin()
            elif not self.job.running:  # else the next round has begun
                self.busy = self.in_training = self._next = None
        if self.busy is None:
            self._show_work(None)
        self.tell("idle")

    def _show_work(self, work: Work | None) -> None:
        self.work = work
        for follower in self._followers:
            try:
                follower()
            except Exception:
                LOG.exception("A card could not follow the work.")

    def _keep_guideline(self) -> None:
        """Keep with the run in use what the person judges by, if that is not known there."""
        if self.guideline and self.session.noted("guideline") != {"text": self.guideline}:
            self.session.note("guideline", {"text": self.guideline})

    def _open(self, settings: Settings) -> ActiveSession:
        return ActiveSession(
            self.folder / self.name_of(settings),
            self.items,
            settings,
            device=self.device,
            labels=self.folder / LABELS,
            result=self.result,
            encoder=self.encoder,
        )

    def _look_around(self, settings: Settings) -> tuple[ActiveSession, str]:
        """The run to begin with, and the news."""
        told, earlier = [], (self.folder / run_name(settings) / "settings.json").exists()
        what = "item" if self.items.images is None else "image"
        try:
            changed = changes(self.folder, self.items)
            told += [found] if changed is not None and (found := changed.told(what)) else []
        except DamagedFileError as error:
            told.append(str(error))
        begins = not self.exists(settings)
        session = self._open(settings)
        brought, runs = session.bring_over_all(self._names.earlier())
        if brought:
            told.append(f"{brought} answers of {runs} earlier run{'s' * (runs > 1)} were brought over")
        if begins and earlier and not told:
            told.append("the features or the labels of the items are others than before")
        if told:
            counting, left = len(session.answers()), session.left_out()
            why = ", ".join(f"{count} {reason}" for reason, count in left.items())
            of = f"{counting} of {counting + sum(left.values())}" if left else f"all {counting}"
            told.append(f"{of} answers count{f' ({why})' if left else ''}")
            told.append(f"a new run begins: {session.name}" if begins else f"the run {session.name} goes on")
        remember(self.folder, self.items)
        return session, "; ".join(told)
