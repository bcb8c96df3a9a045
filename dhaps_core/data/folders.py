"""What lies in a folder of images: the files that count, and what is left out by rule."""

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["FolderFiles", "folder_files"]

_SYSTEM = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "icon\r"} | {
    "system volume information",
    "lost+found",
}


class FolderFiles(NamedTuple):
    """Files of a flat folder or of its class folders.

    Attributes:
        files: all that count, readable or not, sorted by their path as text.
        left_out: (path below the folder, rule) of what does not count.
        closed: (path below the folder, reason) of folders that cannot be opened.
    """

    files: list[Path]
    left_out: list[tuple[str, str]]
    closed: list[tuple[str, str]]


def folder_files(path: Path) -> FolderFiles:
    """Looks through a folder and its class folders; links are followed, and one that leads nowhere is a file.

    Raises:
        ValueError: if loose files lie beside class folders, or class folders hold folders.
    """
    left_out: list[tuple[str, str]] = []
    closed: list[tuple[str, str]] = []

    def below(entry: Path) -> str:
        return entry.relative_to(path).as_posix()

    def entries(folder: Path) -> list[Path]:
        """What counts in a folder; the rest goes to the lists."""
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            closed.append((f"{below(folder)}/", error.strerror or str(error)))
            return []
        found = []
        for name in names:
            if name.startswith("."):
                left_out.append((below(folder / name), "hidden"))
            elif name.lower() in _SYSTEM:
                left_out.append((below(folder / name), "left behind by an operating system"))
            else:
                found.append(folder / name)
        if not found and folder != path:
            left_out.append((f"{below(folder)}/", "a folder without files"))
        return found

    loose, classed = [], []
    for entry in entries(path):
        if not os.path.isdir(entry):
            loose.append(entry)
            continue
        inside = entries(entry)
        if nested := next((deeper for deeper in inside if os.path.isdir(deeper)), None):
            rule = f"class folders must hold images only; got a folder {below(nested)}"
            way = f"Give the folder whose sub-folders are the classes, such as {nested.parent}"
            raise ValueError(f"{rule}. {way}")
        classed += inside
    if loose and classed:
        got = f"both: {loose[0].name!r} beside {classed[0].parent.name!r}"
        rule = "a folder must hold class folders or loose images"
        raise ValueError(f"{rule}; got {got}. Move one of them away")
    return FolderFiles(sorted(loose or classed, key=below), sorted(left_out), sorted(closed))
