"""How a run begins and how it is opened again: all its parts agree, or it is said which one does not.

A run begins in this order: ``labels.sqlite``, ``splits.npz``, ``settings.json``. Only the last makes a folder
a run, so a process killed in between leaves a folder that a new start can use; and where later parts are
there, an earlier one that is missing was lost, and is never taken for a new start. Where runs share a store
of labels, ``settings.json`` has the tag by which the run's questions are told from those of others; it is
another one whenever answers came in between, so a run that was deleted and begun anew is a new one.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dhaps_core import __version__
from dhaps_core.acquisition.strategies import STRATEGIES
from dhaps_core.answers.answer import Answer
from dhaps_core.answers.questions import round_of
from dhaps_core.answers.store import LabelStore
from dhaps_core.data.items import Items
from dhaps_core.json_files import DamagedFileError
from dhaps_core.session.errors import RESTORE, RunDamaged, damaged
from dhaps_core.session.folder import RunFolder
from dhaps_core.session.model import Model
from dhaps_core.session.proposals import PICKS
from dhaps_core.session.rounds import METRICS, Rounds
from dhaps_core.session.settings import Settings

__all__ = [
    "LABELS", "Stored", "begin", "check_answers", "fits", "read_settings", "shares_labels",
    "with_stored_splits",
]  # fmt: skip

LABELS = "labels.sqlite"

_SETTINGS = {"settings": dict, "source": str, "protocol": str, "fingerprint": str, "versions": dict}
_LATER = (METRICS, "kernel_means.npy", "round-*", "skipped.json")


class Stored(NamedTuple):
    """What ``settings.json`` tells: the settings, the fingerprint of the items, the tag of a shared store."""

    settings: Settings
    fingerprint: str
    tag: str | None


def begin(
    folder: RunFolder, items: Items, settings: Settings, device: torch.device, *, labels: Path | None
) -> Model | None:
    """The model of a run that was begun here and now; None where there is one, or another process was faster.

    Args:
        folder: of the run.
        items: the collection.
        settings: of the run.
        device: where networks run.
        labels: the store that it shares with other runs; None for one of its own.

    Raises:
        RunDamaged: if the folder holds parts of a run that has lost its settings.
        FileNotFoundError: if it holds none, and is only looked at.
        ValueError: if these items and settings make no run; nothing is written.
        ImportError: if they need a package that is not installed.
    """
    path = folder.file("settings.json")
    if path.exists():
        return None
    _check_new(folder)
    STRATEGIES[settings.acquisition].check_installed()
    model = Model(items, settings, device, folder.activations)
    folder.tidy()
    with folder.owned("begins it"):
        if path.exists():
            return None
        _check_new(folder)
        if labels is not None:
            _check_shared(labels)
        with LabelStore(labels or folder.file(LABELS), create=True) as store:
            rows = store.watermark()
            if rows and labels is None:  # an interrupted start leaves a store, but nothing in it
                raise damaged(path, f"be there beside labels.sqlite with its {rows} rows", "no file")
        items.save_splits(folder.target("splits.npz"))
        others = {name: version(name) for name in ("torch", "numpy", "scikit-learn")}
        described = {
            "settings": settings.to_json(),
            "source": items.source,
            "protocol": items.protocol,
            "fingerprint": items.fingerprint(),
            "versions": {"dhaps": __version__, **others},  # a checkout need not be installed
        }
        if labels is not None:
            birth = json.dumps([described["settings"], described["fingerprint"], rows], sort_keys=True)
            described["labels"] = hashlib.sha256(birth.encode()).hexdigest()[:12]
        folder.write_json("settings.json", described)
    return model


def _check_new(folder: RunFolder) -> None:
    path = folder.file("settings.json")
    found = [one.name for pattern in _LATER for one in sorted(folder.path.glob(pattern))]
    if path.exists():
        return  # another process was faster
    if found:
        raise damaged(path, f"be there beside {', '.join(found)}", "no file")
    if folder.read_only:
        rule = f"{folder.path} must hold a run to look at; got none"
        raise FileNotFoundError(f"{rule}. Open it for writing to begin one.")


def shares_labels(run: Path) -> bool:
    """Whether a run keeps its answers in a store that it shares with others.

    Raises:
        RunDamaged: if its settings cannot be read.
    """
    return bool((RunFolder(run, read_only=True).read_json("settings.json") or {}).get("labels"))


def fits(run: Path, items: Items, *, shared: bool) -> bool:
    """Whether a run is of these items, and shares its labels or not; True of a damaged one, which says so."""
    try:
        if shares_labels(run) != shared:
            return False
        items.with_splits(run / "splits.npz")
    except (DamagedFileError, FileNotFoundError):
        return True
    except ValueError:
        return False
    return True


def _check_shared(labels: Path) -> None:
    """Refuse to begin a store that runs beside it answer into: it was lost."""
    if labels.exists():
        return
    for path in sorted(labels.parent.glob("*/settings.json")):
        with suppress(RunDamaged):  # which its own opening tells
            if shares_labels(path.parent):
                rule = f"{labels} must be there: the run {path.parent.name} has its answers in it"
                raise FileNotFoundError(f"{rule}; got no file. Restore a copy of it, or use another folder.")


def read_settings(folder: RunFolder, now: Settings | None) -> Stored:
    """What is stored of a run that is opened with some settings (None: its own).

    Raises:
        RunDamaged: if they are missing, something else, or not those that its rounds were made with.
        ValueError: if it is opened with other ones.
    """
    path = folder.file("settings.json")
    if (stored := folder.read_json("settings.json")) is None:
        raise damaged(path, "be there", "no file")
    for name, kind in _SETTINGS.items():
        if not isinstance(stored.get(name), kind):
            raise damaged(path, f"have {name!r}", repr(stored.get(name)))
    try:
        before = Settings.from_json(stored["settings"])
        if not isinstance(stored.get("labels"), str | None):
            raise TypeError(f"labels must be a tag; got {stored['labels']!r:.80}")  # noqa: TRY301
    except (ValueError, TypeError) as error:
        raise damaged(path, "hold settings that this dhaps knows", str(error)) from error
    told: dict[str, Any] = {}
    with suppress(RunDamaged):  # then the rounds have files of their own, which tell no settings
        told = folder.read_json(METRICS) or {}
    for name in ("settings", "fingerprint"):
        if told.get(name, stored[name]) != stored[name]:
            rule = f"have the {name} that metrics.json tells"
            raise damaged(path, rule, "other ones, of another run perhaps")
    if now is not None and now != before:
        new, old = ({**one.pop("training"), **one} for one in (now.to_json(), before.to_json()))
        changed = {name: (old[name], new[name]) for name in new if new[name] != old[name]}
        raise ValueError(
            f"settings of a run must stay; got other values (before, now): {changed}. Use another folder."
        )
    return Stored(before, stored["fingerprint"], stored.get("labels"))


def with_stored_splits(folder: RunFolder, items: Items, fingerprint: str) -> Items:
    """These items with the splits of a run.

    Raises:
        RunDamaged: if those are missing or damaged; it says how to write them again if the items have them.
        ValueError: if they are those of other items.
    """
    path = folder.file("splits.npz")
    try:
        return items.with_splits(path)
    except (DamagedFileError, FileNotFoundError) as error:
        gone = isinstance(error, FileNotFoundError)
        told = damaged(path, "be there", "no file") if gone else RunDamaged(f"{error} {RESTORE}")
        if items.fingerprint() != fingerprint:
            raise told from error
        way = f"These items have the splits of the run: items.save_splits({str(path)!r}) writes them."
        raise RunDamaged(f"{told} {way}") from error


def check_answers(folder: RunFolder, rounds: Rounds, store: LabelStore, answers: Sequence[Answer]) -> None:
    """Refuse a run whose store and rounds do not belong together.

    Args:
        folder: of the run.
        rounds: its finished ones.
        store: its answers, and perhaps those of other runs.
        answers: those that count in the run; they were read before the rounds, so that a round that another
            process finishes meanwhile is there by now.

    Raises:
        RunDamaged: if it was trained, or asked, on more answers than its store has (it says how many), or on
            other ones; or if its store answers questions of rounds that are not there.
    """
    answered = max((round_of(answer.question) or 0 for answer in answers), default=0)
    number = rounds.look()
    if answered > number:
        rule = f"be there: labels.sqlite has answers to questions of round {answered}"
        raise damaged(folder.file(METRICS, number), rule, "no file")
    seen = {row["round"]: row["watermark"] for row in rounds.rows}
    picks = folder.read_json(PICKS, number) or {}
    if isinstance(picks.get("watermark"), int):
        seen[number] = picks["watermark"]
    last = max(seen, key=lambda one: seen[one], default=0)
    most, kept = seen.get(last, 0), store.watermark()
    if most > kept:
        got = f"{kept}: {most - kept} are lost"
        raise damaged(store.path, f"have the {most} rows that round {last} was made from", got)
    for one in range(number, 0, -1):
        picks = folder.read_json(PICKS, one) or {}
        if isinstance(upto := picks.get("watermark"), int) and "seal" in picks:
            if picks["seal"] != store.seal(upto):
                rule = f"have the rows that the pairs of round {one} were chosen upon"
                raise damaged(store.path, rule, "other ones, of another run perhaps")
            break
