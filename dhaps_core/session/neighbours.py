"""Runs beside a run in the same folder: looked at, never changed; of a damaged one no answers are taken."""

import warnings
from pathlib import Path
from typing import Any

from dhaps_core.answers.answer import StoreError, Value
from dhaps_core.answers.store import LabelStore
from dhaps_core.data.items import Items
from dhaps_core.session.errors import EarlierRunLeftOut
from dhaps_core.session.folder import RunFolder
from dhaps_core.session.opening import with_stored_splits
from dhaps_core.session.rounds import rounds_in

__all__ = ["earlier_answers", "history_beside"]


def history_beside(folder: Path, name: str) -> list[dict[str, Any]]:
    """Rows of the finished rounds of the run of some name; none where there is no such run.

    Args:
        folder: of the run in use.
        name: of the other's folder.

    Raises:
        RunDamaged: if a round of it is damaged.
    """
    path = folder.parent / name
    return rounds_in(RunFolder(path, read_only=True)) if (path / "settings.json").exists() else []


def earlier_answers(folder: Path, items: Items, who: str) -> dict[tuple[str, tuple[str, ...]], Value]:
    """What a person said in the other runs on the same items, by kind and keys.

    The later folder name wins where they differ.

    Args:
        folder: of the run in use.
        items: of the run.
        who: the person.

    Warns:
        EarlierRunLeftOut: naming a neighbour that cannot be read, or whose items are others.
    """
    found: dict[tuple[str, tuple[str, ...]], Value] = {}
    for path in sorted(one.parent for one in folder.parent.glob("*/settings.json")):
        if path.resolve() == folder.resolve():
            continue
        try:
            with_stored_splits(RunFolder(path, read_only=True), items, "")  # refuses other items
            with LabelStore(path / "labels.sqlite", create=False, read_only=True) as store:
                found |= {(one.kind, one.keys): one.value for one in store.answers() if one.who == who}
        except (StoreError, ValueError) as error:
            warnings.warn(f"The answers in {path} stay there: {error}", EarlierRunLeftOut, stacklevel=4)
    return found
