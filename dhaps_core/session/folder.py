"""Files of a run by name and round, who may change them, and whether they may be changed at all."""

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy.typing as npt
from torch import Tensor

from dhaps_core.array_files import read_array, write_array
from dhaps_core.files import at_home, make_folder, remove_leftovers
from dhaps_core.hashing.weights import read_weights, write_weights
from dhaps_core.json_files import read_object, write_object
from dhaps_core.session.damage import RESTORE, RunDamaged, check_place, damaged
from dhaps_core.session.owner import OWNER_FILES, Owner, RunReadOnly

__all__ = ["CODES", "WEIGHTS", "RunFolder", "RunRepaired"]

WEIGHTS, CODES = "weights.safetensors", "codes.npy"
"""What a finished round leaves beside its metrics."""


class RunRepaired(UserWarning):
    """A file of a run was missing or damaged, and could be made again from others."""


class RunFolder:
    """Names of what a run keeps; every file is replaced whole, and none outside is written through it.

    Args:
        path: the folder; made if it is absent, unless it is only looked at. A relative one is taken from the
            working directory of this moment; ``~`` is one's home.
        read_only: whether it is only looked at; so it is, too, where this process may not write.

    Attributes:
        path: the folder, absolute.
        read_only: whether nothing of it is changed.

    Raises:
        ValueError: if something else has the name of the folder.
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = at_home(path).absolute()
        self.read_only = read_only or (self.path.exists() and not os.access(self.path, os.W_OK))
        if not self.read_only:
            make_folder(self.path)
        self._identity, self._owner = self._identified(), Owner(self.path)

    def file(self, name: str, round_: int | None = None) -> Path:
        """Path of a file of the run, or of one of its rounds; see :meth:`check_in_place`."""
        self.check_in_place()
        return self.path / name if round_ is None else self.path / f"round-{round_:03d}" / name

    def rounds(self) -> list[int]:
        """Ascending numbers of the rounds that have a folder."""
        names = [path.name.removeprefix("round-") for path in self.path.glob("round-*") if path.is_dir()]
        return sorted(int(name) for name in names if name.isdecimal() and name == f"{int(name):03d}")

    def owned(self, doing: str, *, patience: float | None = None) -> AbstractContextManager[None]:
        """Keep other threads and processes from changing the run; see `Owner.held`.

        Raises:
            RunReadOnly: if the run is only looked at.
            RunInUse: if somebody else is changing it.
            RunDamaged: if it is gone, or something is in the way of the files that say whose it is.
        """
        self.check_writable()
        for name in OWNER_FILES:
            check_place(self.file(name))
        return self._owner.held(doing, patience=patience)

    def clean(self) -> None:
        """Remove what killed processes left half written, unless the run is only looked at."""
        if not self.read_only:
            remove_leftovers(self.path)

    def write_json(self, name: str, content: Mapping[str, Any], round_: int | None = None) -> None:
        """Write a JSON file."""
        write_object(self.target(name, round_), content)

    def read_json(self, name: str, round_: int | None = None) -> dict[str, Any] | None:
        """Content of a JSON file, or None if there is none."""
        with suppress(FileNotFoundError):
            return read_object(self.file(name, round_), advice=RESTORE, error=RunDamaged, signed=True)
        return None

    def write_array(self, name: str, array: npt.NDArray[Any], round_: int | None = None) -> None:
        """Write one array as .npy."""
        write_array(self.target(name, round_), array)

    def read_array(
        self,
        name: str,
        round_: int | None = None,
        *,
        dtype: npt.DTypeLike,
        shape: Sequence[int],
        sha256: str | None = None,
    ) -> npt.NDArray[Any] | None:
        """An array, or None if there is none; see :func:`dhaps_core.array_files.read_array`."""
        path = self.file(name, round_)
        with suppress(FileNotFoundError):
            return read_array(path, dtype=dtype, shape=shape, advice=RESTORE, error=RunDamaged, sha256=sha256)
        return None

    def read_derived(
        self, name: str, round_: int | None = None, *, dtype: npt.DTypeLike, shape: Sequence[int]
    ) -> npt.NDArray[Any] | None:
        """As :meth:`read_array`, of what can be computed again: None, with a warning, where it is damaged.

        Raises:
            RunDamaged: if something is in its place that a file cannot replace.
        """
        check_place(self.file(name, round_))
        try:
            return self.read_array(name, round_, dtype=dtype, shape=shape)
        except RunDamaged as error:
            warnings.warn(f"{error.args[0].split('; got')[0]}; it is made again.", RunRepaired, stacklevel=3)
            return None

    def write_weights(self, weights: Mapping[str, Tensor], round_: int) -> None:
        """Write the weights of a network as safetensors."""
        write_weights(self.target(WEIGHTS, round_), weights)

    def read_weights(
        self, round_: int, like: Mapping[str, Tensor] | None = None, *, sha256: str | None = None
    ) -> dict[str, Tensor]:
        """The weights of a round; see :func:`dhaps_core.hashing.weights.read_weights`."""
        return read_weights(self.file(WEIGHTS, round_), like, advice=RESTORE, error=RunDamaged, sha256=sha256)

    def target(self, name: str, round_: int | None = None) -> Path:
        """Path of a file that is about to be written, in a folder that is there.

        Raises:
            RunReadOnly: if the run is only looked at.
            RunDamaged: if something is in the way.
        """
        self.check_writable()
        path = self.file(name, round_)
        if round_ is not None:
            check_place(path.parent, folder=True)
            path.parent.mkdir(exist_ok=True)
        check_place(path)
        return path

    def check_in_place(self) -> None:
        """Refuse to go on where the folder was: what is missing there would be taken for a new start.

        Raises:
            RunDamaged: if it is no longer the folder that was opened.
        """
        if self._identified() != self._identity:
            rule = "must stay in place while the run is open; it was moved, deleted or replaced"
            raise RunDamaged(f"{self.path} {rule}. Put it back, or open the run where it is now.")

    def check_writable(self) -> None:
        """Refuse a change of a run that is only looked at.

        Raises:
            RunReadOnly: if it is.
        """
        if self.read_only:
            rule = f"{self.path} must be open for writing"
            raise RunReadOnly(
                f"{rule}; it was opened to look at. Open it without read_only, where it can be written."
            )

    def check_parts(self) -> None:
        """Refuse a folder whose parts are links (what is written through them would land elsewhere).

        Where the run can be changed, also one whose parts are something else than files: sooner or later
        they would be in the way.

        Raises:
            RunDamaged: naming the first of them.
        """
        rounds = self._check_parts(self.path, (_ROUND,), folders=True)
        self._check_parts(self.path, _FILES)
        for path in rounds:
            self._check_parts(path, _FILES_OF_ROUND)

    def _check_parts(self, folder: Path, names: Sequence[str], *, folders: bool = False) -> list[Path]:
        # `glob` finds no link to nothing, which is written through all the same.
        found = [one for one in folder.iterdir() if any(one.match(name) for name in names)]
        for path in sorted(found):
            if path.is_symlink():
                raise damaged(path, "lie in the folder of its run", f"a link to {os.readlink(path)}")
            if not self.read_only:
                check_place(path, folder=folders)
        return [path for path in found if path.is_dir()]

    def _identified(self) -> tuple[int, int] | None:
        """What the file system knows the folder by, whatever its name; None of one that is not there."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_dev, found.st_ino


_FILES = (
    "*.json", "splits.npz", "labels.sqlite", "labels.sqlite-*", "labels.sqlite.rows", "owner.lock",
    "kernel_means.npy",
)  # fmt: skip
_ROUND = "round-[0-9]*"
_FILES_OF_ROUND = ("*.json", WEIGHTS, "*.npy")
