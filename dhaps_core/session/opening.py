"""How a run begins and how it is opened again: all its parts agree, or it is said which one does not.

A run begins in this order: ``labels.sqlite``, ``splits.npz``, ``settings.json``. Only the last makes a folder
a run, so a process killed in between leaves a folder that a new start can use; and where later parts are
there, an earlier one that is missing was lost, and is never taken for a new start.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from dhaps_core.answers.questions import round_of
from dhaps_core.answers.store import LabelStore
from dhaps_core.data.items import Items
from dhaps_core.json_files import DamagedFileError
from dhaps_core.session.damage import RESTORE, RunDamaged, damaged
from dhaps_core.session.finished_rounds import mend_rounds, read_rounds
from dhaps_core.session.folder import RunFolder
from dhaps_core.session.owner import RunInUse

__all__ = ["check_answers", "check_settings", "open_folder", "read_settings", "start", "with_stored_splits"]

_SETTINGS = {"settings": dict, "source": str, "protocol": str, "fingerprint": str, "versions": dict}
_LATER = ("metrics.json", "kernel_means.npy", "round-*", "skipped.json")


def check_new(folder: RunFolder) -> None:
    """Refuse to begin a run where there was one.

    Raises:
        RunDamaged: if the folder holds parts of a run that has lost its settings.
        FileNotFoundError: if it holds none, and is only looked at.
    """
    if folder.file("settings.json").exists():
        return  # another process was faster
    found = [path.name for pattern in _LATER for path in sorted(folder.path.glob(pattern))]
    if found:
        raise damaged(folder.file("settings.json"), f"be there beside {', '.join(found)}", "no file")
    if folder.read_only:
        raise FileNotFoundError(
            f"{folder.path} must hold a run to look at; got none. Open it for writing to begin one."
        )


def start(folder: RunFolder, items: Items, settings: Mapping[str, Any]) -> bool:
    """Whether the run was begun here and now; not if another process was faster.

    Raises:
        RunDamaged: if the folder holds parts of a run that has lost its settings.
    """
    folder.check_parts()
    with folder.owned("begins it"):
        if folder.read_json("settings.json") is not None:
            return False
        check_new(folder)
        with LabelStore(folder.file("labels.sqlite"), create=True) as store:
            if rows := store.watermark():  # an interrupted start leaves a store, but nothing in it
                rule = f"be there beside labels.sqlite with its {rows} rows"
                raise damaged(folder.file("settings.json"), rule, "no file")
        items.save_splits(folder.target("splits.npz"))
        described = {
            "settings": settings,
            "source": items.source,
            "protocol": items.protocol,
            "fingerprint": items.fingerprint(),
            "versions": {name: version(name) for name in ("dhaps", "torch", "numpy", "scikit-learn")},
        }
        folder.write_json("settings.json", described)
        return True


def open_folder(folder: RunFolder) -> None:
    """Clean and mend a run's folder where nobody is at work in it.

    Raises:
        RunDamaged: if a part is missing or damaged that no other part can give back.
    """
    folder.check_parts()
    if not folder.read_only:
        folder.clean()
        try:
            with folder.owned("opens it", patience=0.0):
                mend_rounds(folder)
        except RunInUse:
            pass  # who is at work there has opened it before
    read_rounds(folder)


def read_settings(folder: RunFolder) -> dict[str, Any]:
    """What settings.json tells: settings, source, protocol, fingerprint, versions.

    Raises:
        RunDamaged: if it is missing, or something else.
    """
    path = folder.file("settings.json")
    if (stored := folder.read_json("settings.json")) is None:
        raise damaged(path, "be there", "no file")
    for name, kind in _SETTINGS.items():
        if not isinstance(stored.get(name), kind):
            raise damaged(path, f"have {name!r}", repr(stored.get(name)))
    return stored


def check_settings(folder: RunFolder, stored: Mapping[str, Any]) -> None:
    """Refuse settings that the finished rounds were not made with.

    Args:
        folder: of the run.
        stored: what settings.json tells.

    Raises:
        RunDamaged: if the summary of the rounds tells other ones.
    """
    try:
        told = folder.read_json("metrics.json") or {}
    except RunDamaged:  # the rounds have files of their own, which tell no settings
        return
    for name in ("settings", "fingerprint"):
        if told.get(name, stored[name]) != stored[name]:
            rule = f"have the {name} that metrics.json tells"
            raise damaged(folder.file("settings.json"), rule, "other ones, of another run perhaps")


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
        raise RunDamaged(
            f"{told} These items have the splits of the run: items.save_splits({str(path)!r}) writes them."
        ) from error


def check_answers(folder: RunFolder, store: LabelStore) -> None:
    """Refuse a run whose store and rounds do not belong together.

    Raises:
        RunDamaged: if it was trained, or asked, on more answers than its store has (it says how many), or on
            other ones; or if its store answers questions of rounds that are not there.
    """
    # Read before the rounds: a round that another process finishes meanwhile is there by then.
    answered = max((round_of(answer.question) or 0 for answer in store.answers()), default=0)
    rows = read_rounds(folder)
    if answered > len(rows):
        rule = f"be there: labels.sqlite has answers to questions of round {answered}"
        raise damaged(folder.file("metrics.json", len(rows)), rule, "no file")
    seen = {row["round"]: row["watermark"] for row in rows}
    picks = folder.read_json("picks.json", len(rows))
    if picks is not None and isinstance(picks.get("watermark"), int):
        seen[len(rows)] = picks["watermark"]
    number = max(seen, key=lambda one: seen[one], default=0)
    most, kept = seen.get(number, 0), store.watermark()
    if most > kept:
        got = f"{kept}: {most - kept} are lost"
        raise damaged(store.path, f"have the {most} rows that round {number} was made from", got)
    for number in range(len(rows), 0, -1):
        picks = folder.read_json("picks.json", number) or {}
        if isinstance(upto := picks.get("watermark"), int) and "seal" in picks:
            if picks["seal"] != store.seal(upto):
                rule = f"have the rows that the pairs of round {number} were chosen upon"
                raise damaged(store.path, rule, "other ones, of another run perhaps")
            break
