"""What is wrong with a file of a run, and how to go on without it."""

import stat
from pathlib import Path

from dhaps_core.json_files import DamagedFileError

__all__ = ["RESTORE", "RunDamaged", "check_place", "damaged"]

RESTORE = (
    "Restore it from a copy of the run. Without one, start a new run in another folder: the answers in "
    "labels.sqlite can go there (LabelStore.export_csv, then csv_source)."
)
_ENTRIES = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


class RunDamaged(DamagedFileError):  # noqa: N818 - the name of the thing, as one would say it
    """A file of a run is missing or is not what the run wrote; the message names it and says how to go on."""


def damaged(path: Path, rule: str, got: str) -> RunDamaged:
    """The error about a file of a run: what must hold, what was got, how to go on."""
    return RunDamaged(f"{path} must {rule}; got {got}. {RESTORE}")


def check_place(path: Path, *, folder: bool = False) -> None:
    """Refuse to write where something else has the name, which a file cannot replace.

    Args:
        path: of what is about to be written; it may be absent.
        folder: whether that is a folder.

    Raises:
        RunDamaged: if it is a link, a pipe, a device, or a folder in the place of a file.
    """
    wanted = "folder" if folder else "file"
    try:
        kind = stat.S_IFMT(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    if (got := _ENTRIES.get(kind, "pipe or device")) != wanted:
        raise RunDamaged(f"{path} must be a {wanted}, or absent; got a {got}. Move it away, then go on.")
