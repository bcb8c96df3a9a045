"""The marker of a finished run, written by the notebook's own kernel the moment its last cell has ended well.

Were it the worker that wrote it, a worker killed after the last cell and before the marker would have the run
done twice; and a kernel lives on for up to a second after its worker, long enough to end a notebook. Here the
end of the last cell and the marker are one step of one process. The worker's part is to state beforehand what
the marker will say, and to write it itself where the kernel could not (one of another environment).

This module is loaded in every kernel of a sweep: the standard library only.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["finish", "last_cell", "prepare", "read_marker", "replace_text", "watch"]


def replace_text(path: Path, text: str) -> None:
    """Write a file as a whole: whatever happens, there is the old one or the new one."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def read_marker(folder: Path) -> dict[str, Any] | None:
    """The marker of a finished run, or None."""
    try:
        marker: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return marker


def prepare(folder: Path, marker: Mapping[str, Any]) -> None:
    """State what the marker will say, before the run."""
    replace_text(folder / "started.json", json.dumps({**marker, "started": time.time()}, ensure_ascii=False))


def finish(folder: Path) -> dict[str, Any]:
    """The marker, written now unless it is there.

    Raises:
        FileNotFoundError: if the notebook left no metrics.json.
        TypeError: if that holds no JSON object.
    """
    marker = read_marker(folder)
    if marker is not None:
        return marker
    metrics = folder / "metrics.json"
    if not metrics.exists():
        msg = "the notebook must write metrics.json into its parameter `folder`; it ended and wrote none."
        raise FileNotFoundError(msg)
    if not isinstance(json.loads(metrics.read_text(encoding="utf-8")), dict):
        msg = "metrics.json must hold one JSON object."
        raise TypeError(msg)
    stated: dict[str, Any] = json.loads((folder / "started.json").read_text(encoding="utf-8"))
    marker = {**stated, "state": "finished", "seconds": time.time() - stated["started"]}
    replace_text(
        folder / "run.json", json.dumps(marker, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )
    return marker


def last_cell(sources: Sequence[str]) -> tuple[str, int]:
    """Hash of the last code cell that is not empty, and how many cells have the same text.

    Example:
        >>> last_cell(["a", "b", "a", " "])[1]
        2
    """
    code = [source for source in sources if source.strip()]
    return _hash(code[-1]), code.count(code[-1])


def watch(events: Any, folder: str, last: str, times: int) -> None:
    """Have a kernel write the marker after the last cell; run at its start.

    Args:
        events: ``get_ipython().events`` of the kernel.
        folder: of the run.
        last: hash of the last cell, from :func:`last_cell`.
        times: how many cells have its text.
    """
    left = [times]

    def ended(result: Any) -> None:
        if _hash(result.info.raw_cell) == last:
            left[0] -= 1
            if result.success and left[0] == 0:
                finish(Path(folder))

    events.register("post_run_cell", ended)


def _hash(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
