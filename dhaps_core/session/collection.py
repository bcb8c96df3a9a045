"""What a collection was when it was opened last, and what has changed since: for people, in one line."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dhaps_core.data.items import Items
from dhaps_core.json_files import DamagedFileError, read_object, write_object

__all__ = ["COLLECTION", "Changes", "changes", "remember"]

COLLECTION = "collection.json"


class Changes(NamedTuple):
    """Numbers of items: new, gone, under another name, and with other content under the old one."""

    new: int
    gone: int
    renamed: int
    replaced: int

    def told(self, what: str) -> str:
        """In words, such as "3 images new, 1 gone"; empty if nothing has changed.

        Args:
            what: an item is called.

        Example:
            >>> Changes(3, 1, 0, 2).told("image"), Changes(0, 1, 2, 0).told("image")
            ('3 images new, 1 gone, 2 replaced', '1 image gone, 2 renamed')
        """
        parts = [(count, name) for name, count in self._asdict().items() if count]
        nouns = [f" {what}{'s' * (count > 1)}" if i == 0 else "" for i, (count, _) in enumerate(parts)]
        return ", ".join(f"{count}{noun} {name}" for (count, name), noun in zip(parts, nouns, strict=True))


def remember(folder: Path, items: Items) -> None:
    """Keep in a folder what the items are."""
    keys, digests = list(items.keys), list(_digests(items))
    write_object(folder / COLLECTION, {"keys": keys, "digests": digests})


def changes(folder: Path, items: Items) -> Changes | None:
    """What has changed since :func:`remember`; None where that is not known.

    Raises:
        DamagedFileError: if what was kept is damaged.
    """
    path = folder / COLLECTION
    if not path.exists():
        return None
    advice = "Delete it: what has changed in the collection is then not told this time."
    stored = read_object(path, advice=advice, signed=True)
    keys, digests = stored.get("keys"), stored.get("digests")
    if not isinstance(keys, list) or not isinstance(digests, list) or len(keys) != len(digests):
        raise DamagedFileError(f"{path} must list keys and digests of items; got others. {advice}")
    before = dict(zip(keys, digests, strict=True))
    now = dict(zip(items.keys, _digests(items), strict=True))
    came = Counter(now[key] for key in now if key not in before)
    went = Counter(before[key] for key in before if key not in now)
    renamed = sum(count for held, count in (came & went).items() if held)
    replaced = sum(before[key] != held for key, held in now.items() if key in before)
    return Changes(came.total() - renamed, went.total() - renamed, renamed, replaced)


def _digests(items: Items) -> Sequence[str]:
    return [""] * items.n if items.images is None else items.images.digests()
