"""Folder names of the runs of a collection: by their settings, and by the items where those have changed."""

import hashlib
import json
from pathlib import Path

from dhaps_core.data.items import Items
from dhaps_core.session.errors import RunDamaged
from dhaps_core.session.opening import fits, shares_labels
from dhaps_core.session.settings import Settings

__all__ = ["RunNames", "run_name"]

ALONE = "-oracle"  # in the name of a run that keeps an oracle's answers to itself, for comparison


def run_name(settings: Settings) -> str:
    """Folder name of a run: what people look for in it, and a digest of all settings.

    Example:
        >>> run_name(Settings(bits=16)).rsplit("-", 1)[0]
        'dhaps-auto-16b-s0'
    """
    text = json.dumps(settings.to_json(), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{settings.acquisition}-{settings.method}-{settings.bits}b-s{settings.seed}-{digest}"


class RunNames:
    """Names of runs in a folder, begun or not.

    Args:
        folder: holds one folder for each run.
        items: as they are now.
    """

    def __init__(self, folder: Path, items: Items) -> None:
        self._folder, self._items = folder, items
        self._fitting: dict[str, bool] = {}

    def shared(self, settings: Settings) -> str:
        """Name of the run with these settings that shares its answers with the others."""
        return self._name(run_name(settings), shared=True)

    def alone(self, settings: Settings) -> str:
        """Name of the run with these settings that an oracle answers, which keeps its answers to itself."""
        return self._name(f"{run_name(settings)}{ALONE}", shared=False)

    def earlier(self) -> list[Path]:
        """Runs of before the store was shared."""
        found = []
        for path in sorted(self._folder.glob("*/settings.json")):
            try:
                own = not shares_labels(path.parent)
            except RunDamaged:
                own = True  # its answers may be sound
            if own and ALONE not in path.parent.name:
                found.append(path.parent)
        return found

    def _name(self, name: str, *, shared: bool) -> str:
        """The name of a run, with what tells the items apart where a run of other ones has it already."""
        if name not in self._fitting:
            begun = (self._folder / name / "settings.json").exists()
            fitting = not begun or fits(self._folder / name, self._items, shared=shared)
            if not begun:
                return name
            self._fitting[name] = fitting
        return name if self._fitting[name] else f"{name}-{self._items.n}-{self._items.content()[:6]}"
