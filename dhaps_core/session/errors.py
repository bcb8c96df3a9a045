"""What a run refuses or warns of, in one sentence each: what must hold, what was got, how to go on."""

from pathlib import Path

from dhaps_core.json_files import DamagedFileError

__all__ = ["EarlierRunLeftOut", "RESTORE", "RunDamaged", "RunInUse", "RunReadOnly", "RunRepaired", "damaged"]

RESTORE = (
    "Restore it from a copy of the run. Without one, start a new run in another folder: the answers in "
    "labels.sqlite can go there (LabelStore.export_csv, then csv_source)."
)


class RunDamaged(DamagedFileError):  # noqa: N818 - the name of the thing, as one would say it
    """A file of a run is missing or is not what the run wrote; the message names it and says how to go on."""


class RunInUse(RuntimeError):  # noqa: N818
    """Somebody else is changing the run just now, or was faster; nothing was written."""


class RunReadOnly(RuntimeError):  # noqa: N818
    """The run was opened to look at it, so nothing of it is changed."""


class RunRepaired(UserWarning):
    """A file of a run was missing or damaged, and could be made again from others."""


class EarlierRunLeftOut(UserWarning):
    """A neighbouring run is damaged or of other items, so its answers are not brought over."""


def damaged(path: Path, rule: str, got: str) -> RunDamaged:
    """The error about a file of a run."""
    return RunDamaged(f"{path} must {rule}; got {got}. {RESTORE}")
