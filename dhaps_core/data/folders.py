"""What lies in a folder of images: the files that count, and what is left out by rule."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FolderFiles", "folder_files"]

_SYSTEM = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "icon\r"} | {
    "system volume information",
    "lost+found",
}


@dataclass(frozen=True)
class FolderFiles:
    """Files of a flat folder or of its class folders.

    Attributes:
        files: all that count, readable or not, sorted by their path as text.
        left_out: (path below the folder, rule) of what does not count.
        closed: (path below the folder, reason) of folders that cannot be opened.
    """

    files: tuple[Path, ...]
    left_out: tuple[tuple[str, str], ...]
    closed: tuple[tuple[str, str], ...]


def folder_files(path: Path) -> FolderFiles:
    """Looks through a folder and its class folders; links are followed, and one that leads nowhere is a file.

    Raises:
        ValueError: if loose files lie beside class folders, or class folders hold folders.
    """
    left_out: list[tuple[str, str]] = []
    closed: list[tuple[str, str]] = []
    loose, classed = [], []
    for entry in _entries(path, path, left_out, closed):
        if not os.path.isdir(entry):
            loose.append(entry)
            continue
        inside = _entries(entry, path, left_out, closed)
        nested = next((below for below in inside if os.path.isdir(below)), None)
        if nested is not None:
            rule = f"class folders must hold images only; got a folder {nested.relative_to(path).as_posix()}"
            way = f"Give the folder whose sub-folders are the classes, such as {nested.parent}"
            raise ValueError(f"{rule}. {way}")
        classed += inside
        if not inside and not any(name.startswith(f"{entry.name}/") for name, _ in closed):
            left_out.append((f"{entry.name}/", "a folder without files"))
    if loose and classed:
        got = f"both: {loose[0].name!r} beside {classed[0].parent.name!r}"
        rule = "a folder must hold class folders or loose images"
        raise ValueError(f"{rule}; got {got}. Move one of them away")
    files = sorted(loose or classed, key=lambda file: file.relative_to(path).as_posix())
    return FolderFiles(tuple(files), tuple(sorted(left_out)), tuple(sorted(closed)))


def _entries(
    folder: Path, root: Path, left_out: list[tuple[str, str]], closed: list[tuple[str, str]]
) -> list[Path]:
    """What counts in a folder; the rest goes to the lists."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        closed.append((f"{folder.relative_to(root).as_posix()}/", error.strerror or str(error)))
        return []
    found = []
    for name in names:
        below = (folder / name).relative_to(root).as_posix()
        if name.startswith("."):
            left_out.append((below, "hidden"))
        elif name.lower() in _SYSTEM:
            left_out.append((below, "left behind by an operating system"))
        else:
            found.append(folder / name)
    return found
