"""What a person prefers at the card, remembered beside the runs."""

from pathlib import Path
from typing import Any

from dhaps_core.json_files import read_object, write_object

__all__ = ["Preferences"]

NAME = "cockpit.json"


class Preferences:
    """Preferences in a folder of runs.

    Args:
        folder: that of the bench.

    Attributes:
        go_on: whether the next round is run as soon as the last question is answered.

    Raises:
        DamagedFileError: if they cannot be read; the message says what to do.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        stored: dict[str, Any] = {}
        if self._path.exists():
            advice = "Delete it: it holds nothing but what you prefer at the card"
            stored = read_object(self._path, advice=advice, signed=True)
        self.go_on = stored.get("go_on") is True

    def keep(self, *, go_on: bool) -> None:
        """Remember what is preferred now."""
        self.go_on = go_on
        write_object(self._path, {"go_on": go_on})
