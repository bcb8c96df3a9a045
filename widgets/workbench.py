"""The run in use, shared by every card of a notebook: one session, the work in its background, who listens.

A run's settings never change. Choosing other settings opens another run, in a folder of its own beside the
first; choosing earlier settings again goes back to the run that has them, with its rounds and answers. What a
person has answered in one run is not asked again in another.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from dhaps_core.answers.questions import Source, label_oracle
from dhaps_core.data.items import Items
from dhaps_core.files import at_home
from dhaps_core.hashing.encoder import Encoder
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from widgets.background import Job, Report
from widgets.pictures import Pictures

__all__ = ["Change", "Workbench", "run_name"]

LOG = logging.getLogger(__name__)
Change = Literal["answers", "busy", "round", "run"]


def run_name(settings: Settings) -> str:
    """Folder name of a run: what people look for in it, and a digest of all settings.

    Example:
        >>> run_name(Settings(bits=16)).rsplit("-", 1)[0]
        'dhaps-auto-16b-s0'
    """
    text = json.dumps(settings.to_json(), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{settings.acquisition}-{settings.method}-{settings.bits}b-s{settings.seed}-{digest}"


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

    Attributes:
        session: the run in use.
        pictures: encoded pictures, shared by the cards.
        job: the work in the background.
        busy: why the run in use cannot take answers just now, or None.
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
    ) -> None:
        if Source.named(who) or not who.strip():
            rule = "who must be the name of a person; 'oracle' and 'csv:...' are those of sources of answers"
            raise ValueError(f"{rule}; got {who!r}. Write your own.")
        self.folder, self.items, self.who, self.device = at_home(folder).absolute(), items, who, device
        self.result, self.encoder = None if result is None else at_home(result).absolute(), encoder
        self.pictures = Pictures(items)
        self.job = Job()
        self.busy: str | None = None
        self._listeners: list[Callable[[Change], object]] = []
        self._starting = threading.Lock()
        self.session = self._open(settings)
        # The splits of the run count from here on, whatever the items came with.
        self.items = self.session.items

    def listen(self, listener: Callable[[Change], object]) -> None:
        """Call a function with what has changed: answers, the work going on, the round, or the run."""
        self._listeners.append(listener)

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
            self.tell("run")
        return True

    def exists(self, settings: Settings) -> bool:
        """Whether there is already a run with these settings."""
        return run_name(settings) in self.session.runs_beside()

    def runs(self) -> dict[str, list[dict[str, Any]]]:
        """Rounds of the run in use and of random pairs on the same seed, as figures want them."""
        session, baseline = self.session, self.baseline
        runs = {f"{session.settings.acquisition}/run": session.history}
        if baseline != session.settings:
            runs["random/run"] = session.history_beside(run_name(baseline))[: session.round]
        return {name: rounds for name, rounds in runs.items() if rounds}

    @property
    def baseline(self) -> Settings:
        """Settings of the run that picks at random and is otherwise the same."""
        return replace(self.session.settings, acquisition="random")

    def run_round(
        self,
        *,
        source: Source | None = None,
        baseline: bool = False,
        progress: Callable[[str, int, int], object] | None = None,
        done: Callable[[], object] | None = None,
    ) -> bool:
        """Whether a round was started in the background.

        Args:
            source: answers the questions still open, as the oracle does for teaching, unless the person has
                answered some of them; without it questions that nobody answered stay out of the training.
            baseline: whether random pairs on the same seed follow, answered from the items' labels.
            progress: called with (what, step, steps).
            done: called at the end; ``job.error`` and ``job.cancelled`` tell how it ended.
        """
        stage = "training"

        def work(report: Report) -> None:
            nonlocal stage
            session = self.session
            if source is not None and session.round:
                session.answer_all(source, handed_over=True)  # by the person's own switch
            session.train(progress=report, partial=True)
            stage = "choosing pairs"
            if progress is not None:
                progress(stage, 0, 1)
            session.propose()
            session.reuse_answers(who=self.who)
            self.busy = None
            if baseline and self.items.labels is not None and self.baseline != session.settings:
                stage = "random pairs, for comparison"
                self.tell("round")
                other = self._open(self.baseline, aside=True)
                while other.round < session.round:
                    other.run_round(label_oracle(self.items), progress=report)

        def finish() -> None:
            with self._starting:
                if not self.job.running:  # else the next round has begun
                    self.busy = None
            self.tell("round")
            if done is not None:
                done()

        with self._starting:
            if self.job.running:
                return False
            self.busy = f"Round {self.session.refresh()} is being trained."
            self.job.start(
                work,
                progress=None if progress is None else lambda step, steps: progress(stage, step, steps),
                done=finish,
            )
        self.tell("busy")
        return True

    def _open(self, settings: Settings, *, aside: bool = False) -> ActiveSession:
        """The run with these settings; one aside, for comparison, leaves the result alone."""
        return ActiveSession(
            self.folder / run_name(settings),
            self.items,
            settings,
            device=self.device,
            result=None if aside else self.result,
            encoder=self.encoder,
        )
