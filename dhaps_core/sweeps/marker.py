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

from dhaps_core.files import digest, replace_text
from dhaps_core.json_files import DamagedFileError, read_object

__all__ = ["finish", "last_cell", "prepare", "read_finished", "read_marker", "read_metrics", "watch"]


def read_marker(folder: Path) -> dict[str, Any] | None:
    """The marker of a finished run, or None if there is none.

    Raises:
        DamagedFileError: if it is there and says nothing: the run is neither finished nor open.
    """
    path, advice = folder / "run.json", _anew(folder)
    try:
        marker = read_object(path, advice=advice)
    except FileNotFoundError:
        return None
    if marker.get("state") != "finished":
        raise DamagedFileError(f"{path} must say 'finished'; got {marker.get('state')!r:.80}. {advice}")
    return marker


def read_metrics(folder: Path) -> dict[str, Any]:
    """What the notebook of a run that is not finished wrote into metrics.json.

    Raises:
        FileNotFoundError: if it wrote none.
        DamagedFileError: if that holds no JSON object, or rounds that are none.
    """
    path, advice = folder / "metrics.json", _anew(folder)
    metrics = read_object(path, advice=advice)
    rounds = metrics.get("rounds") or []
    if not isinstance(rounds, list) or not all(isinstance(one, dict) for one in rounds):
        raise DamagedFileError(f"{path} must have rounds that are objects; got {rounds!r:.80}. {advice}")
    return metrics


def read_finished(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Marker and metrics of a finished run; None of one that is not finished.

    Raises:
        DamagedFileError: if one of them is damaged, or the metrics are gone or not those of the finish.
    """
    marker, path, advice = read_marker(folder), folder / "metrics.json", _anew(folder)
    if marker is None:
        return None
    try:
        metrics = read_metrics(folder)
    except FileNotFoundError as error:
        raise DamagedFileError(f"{error} The run is finished. {advice}") from None
    if marker.get("metrics_sha256") not in (None, digest(path)):
        raise DamagedFileError(f"{path} must hold what the run finished with; got something else. {advice}")
    return marker, metrics


def _anew(folder: Path) -> str:
    return f"Put the file back from a copy, or delete the folder {folder} to run it anew."


def prepare(folder: Path, marker: Mapping[str, Any]) -> None:
    """State what the marker will say, before the run."""
    replace_text(folder / "started.json", json.dumps({**marker, "started": time.time()}, ensure_ascii=False))


def finish(folder: Path) -> dict[str, Any]:
    """The marker, written now unless it is there.

    Raises:
        FileNotFoundError: if the notebook left no metrics.json.
        DamagedFileError: if that, or started.json, holds no JSON object.
    """
    marker = read_marker(folder)
    if marker is not None:
        return marker
    try:
        read_metrics(folder)
    except FileNotFoundError:
        rule = "the notebook must write metrics.json into its parameter `folder`"
        raise FileNotFoundError(f"{rule}; it ended and wrote none.") from None
    stated = read_object(folder / "started.json", advice="Start the sweep again.")
    marker = {
        **stated,
        "state": "finished",
        "seconds": time.time() - stated["started"],
        "metrics_sha256": digest(folder / "metrics.json"),
    }
    text = json.dumps(marker, indent=1, ensure_ascii=False, allow_nan=False)
    replace_text(folder / "run.json", f"{text}\n")
    return marker


def last_cell(sources: Sequence[str]) -> tuple[str, int]:
    """Hash of the last code cell that is not empty, and how many cells have the same text.

    Example:
        >>> last_cell(["a", "b", "a", " "])[1]
        2
    """
    code = [source for source in sources if source.strip()]
    return _hash(code[-1]), code.count(code[-1])


def watch(events: Any, folder: bytes, last: str, times: int) -> None:
    """Have a kernel write the marker after the last cell; run at its start.

    Args:
        events: ``get_ipython().events`` of the kernel.
        folder: of the run; bytes, for whatever stands in its name means nothing on the way to the kernel.
        last: hash of the last cell, from :func:`last_cell`.
        times: how many cells have its text.
    """
    left = [times]

    def ended(result: Any) -> None:
        if _hash(result.info.raw_cell) == last:
            left[0] -= 1
            if result.success and left[0] == 0:
                finish(Path(os.fsdecode(folder)))

    events.register("post_run_cell", ended)


def _hash(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
