"""The folder of a run: its files by name and round, and who may change them.

One owner at a time changes a folder, among all threads and processes. The lock is the operating system's, so
a process that dies lets go of it. Beside it ``owner.json`` says who has it, for the sentence that the next
one reads; nothing depends on that file.
"""

import json
import os
import socket
import stat
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy.typing as npt
from filelock import FileLock, Timeout
from torch import Tensor

from dhaps_core.array_files import read_array, write_array
from dhaps_core.files import at_home, identity, make_folder, remove_leftovers, replace_text
from dhaps_core.hashing.weights import read_weights, write_weights
from dhaps_core.json_files import read_object, write_object
from dhaps_core.session.errors import RESTORE, RunDamaged, RunInUse, RunReadOnly, RunRepaired, damaged

__all__ = ["CODES", "WEIGHTS", "RunFolder", "check_place"]

WEIGHTS, CODES = "weights.safetensors", "codes.npy"
"""What a finished round leaves beside its metrics."""
PATIENCE = 3.0
"""Seconds to wait for who holds a folder for milliseconds; who trains holds it longer, and is named."""
_LOCK, _WHO, _MEANS = "owner.lock", "owner.json", "kernel_means.npy"
_ROUND = "round-[0-9]*"
_PARTS = ("*.json", "splits.npz", "labels.sqlite", "labels.sqlite-*", "labels.sqlite.rows", _LOCK, _MEANS)
_PARTS_OF_ROUND = ("*.json", WEIGHTS, "*.npy")
_ENTRIES = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


class RunFolder:
    """Names of what a run keeps; every file is replaced whole, and none outside is written through it.

    All of it raises :class:`RunDamaged` if the folder is no longer the one that was opened: what is missing
    where it was would be taken for a new start.

    Args:
        path: the folder; made if it is absent, unless it is only looked at. A relative one is taken from the
            working directory of this moment; ``~`` is one's home.
        read_only: whether it is only looked at; so it is, too, where this process may not write.

    Attributes:
        path: the folder, absolute.
        read_only: whether nothing of it is changed.

    Raises:
        ValueError: if something else has the name of the folder.

    Example:
        >>> import tempfile
        >>> folder = RunFolder(tempfile.mkdtemp())
        >>> with folder.owned("trains round 3"), folder.owned("writes its table"):
        ...     print(sorted(path.name for path in folder.path.iterdir()))
        ['owner.json', 'owner.lock']
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = at_home(path).absolute()
        self.read_only = read_only or (self.path.exists() and not os.access(self.path, os.W_OK))
        if not self.read_only:
            make_folder(self.path)
        self._identity = identity(self.path)
        self._lock, self._process = FileLock(self.path / _LOCK), os.getpid()

    # --- names ---------------------------------------------------------------------------------------------

    def file(self, name: str, round_: int | None = None) -> Path:
        """Path of a file of the run, or of one of its rounds."""
        if identity(self.path) != self._identity:
            rule = "must stay in place while the run is open; it was moved, deleted or replaced"
            raise RunDamaged(f"{self.path} {rule}. Put it back, or open the run where it is now.")
        return self.path / name if round_ is None else self.path / f"round-{round_:03d}" / name

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

    @property
    def activations(self) -> Path:
        """Folder beside the run, of all runs that lie there: what layers that never change make of images."""
        return self.path.parent / "activations"

    def rounds(self) -> list[int]:
        """Ascending numbers of the rounds that have a folder."""
        names = [path.name.removeprefix("round-") for path in self.path.glob("round-*") if path.is_dir()]
        return sorted(int(name) for name in names if name.isdecimal() and name == f"{int(name):03d}")

    # --- who may change it ---------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Refuse, by :class:`RunReadOnly`, a change of a run that is only looked at."""
        if self.read_only:
            rule = f"{self.path} must be open for writing; it was opened to look at"
            raise RunReadOnly(f"{rule}. Open it without read_only, where it can be written.")

    @contextmanager
    def owned(self, doing: str, *, patience: float | None = None) -> Iterator[None]:
        """Keep other threads and processes from changing the run; one thread may nest it.

        Args:
            doing: what for, as it follows "process 7"; others read it.
            patience: seconds to wait for the one before; :data:`PATIENCE` by default.

        Raises:
            RunReadOnly: if the run is only looked at.
            RunInUse: if somebody else has it for longer; the message says who, where and since when.
            RunDamaged: if something is in the way of the files that say whose it is.
        """
        who = self.target(_WHO)
        check_place(self.file(_LOCK))
        if self._process != os.getpid():  # a lock does not survive a fork
            self._lock, self._process = FileLock(self.path / _LOCK), os.getpid()
        if self._lock.is_locked:  # by this thread
            yield
            return
        try:
            self._lock.acquire(timeout=PATIENCE if patience is None else patience)
        except Timeout:
            rule = f"the run {self.path.name} must have one owner at a time"
            raise RunInUse(f"{rule}; {_holder(who)}. Wait for it, or stop it.") from None
        try:
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            mine = {"process": os.getpid(), "host": socket.gethostname(), "doing": doing, "since": now}
            replace_text(who, json.dumps(mine, ensure_ascii=False) + "\n")
            yield
        finally:
            self._lock.release()

    # --- files ---------------------------------------------------------------------------------------------

    def write_json(self, name: str, content: Mapping[str, Any], round_: int | None = None) -> None:
        """Write a JSON file; like every writer here, see :meth:`target` for what it raises."""
        write_object(self.target(name, round_), content)

    def read_json(self, name: str, round_: int | None = None) -> dict[str, Any] | None:
        """Content of a JSON file, or None if there is none."""
        with suppress(FileNotFoundError):
            return read_object(self.file(name, round_), advice=RESTORE, error=RunDamaged, signed=True)
        return None

    def write_array(self, name: str, array: npt.NDArray[Any], round_: int | None = None) -> None:
        """Write one array of any shape as .npy."""
        write_array(self.target(name, round_), array)

    def read_array(
        self,
        name: str,
        round_: int | None = None,
        *,
        dtype: npt.DTypeLike,
        shape: Sequence[int],
        sha256: str | None = None,
    ) -> npt.NDArray[Any]:
        """An array, of the shape asked for; see :func:`dhaps_core.array_files.read_array`."""
        path = self.file(name, round_)
        try:
            return read_array(path, dtype=dtype, shape=shape, advice=RESTORE, error=RunDamaged, sha256=sha256)
        except FileNotFoundError:
            raise damaged(path, "be there", "no file") from None

    def read_derived(
        self, name: str, round_: int | None = None, *, dtype: npt.DTypeLike, shape: Sequence[int]
    ) -> npt.NDArray[Any] | None:
        """An array of this shape that can be computed again; None where there is none, or a damaged one.

        A damaged one is warned of.

        Raises:
            RunDamaged: if something is in its place that a file cannot replace.
        """
        path = self.file(name, round_)
        check_place(path)
        if not path.exists():
            return None
        try:
            return self.read_array(name, round_, dtype=dtype, shape=shape)
        except RunDamaged as error:
            warnings.warn(f"{error.args[0].split('; got')[0]}; it is made again.", RunRepaired, stacklevel=3)
            return None

    def write_weights(self, weights: Mapping[str, Tensor], round_: int) -> None:
        """Write the weights of a network, of any shape, as safetensors."""
        write_weights(self.target(WEIGHTS, round_), weights)

    def read_weights(
        self, round_: int, like: Mapping[str, Tensor], *, sha256: str | None = None
    ) -> dict[str, Tensor]:
        """The weights of a round, of any shape; see :func:`dhaps_core.hashing.weights.read_weights`."""
        return read_weights(self.file(WEIGHTS, round_), like, advice=RESTORE, error=RunDamaged, sha256=sha256)

    # --- order ---------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Refuse parts that are links (what is written through them would land elsewhere), then clean up.

        Where the run can be changed, also parts that are something else than files are refused: sooner or
        later they would be in the way; and what killed processes left half written is removed.

        Raises:
            RunDamaged: naming the first of them.
        """
        rounds = self._check_parts(self.path, (_ROUND,), folders=True)
        self._check_parts(self.path, _PARTS)
        for path in rounds:
            self._check_parts(path, _PARTS_OF_ROUND)
        if not self.read_only:
            remove_leftovers(self.path)

    def _check_parts(self, folder: Path, names: Sequence[str], *, folders: bool = False) -> list[Path]:
        # `glob` finds no link to nothing, which is written through all the same.
        found = [one for one in folder.iterdir() if any(one.match(name) for name in names)]
        for path in sorted(found):
            if path.is_symlink():
                raise damaged(path, "lie in the folder of its run", f"a link to {os.readlink(path)}")
            if not self.read_only:
                check_place(path, folder=folders)
        return [path for path in found if path.is_dir()]


def check_place(path: Path, *, folder: bool = False) -> None:
    """Refuse to write where something else has the name, which a file (or a folder) cannot replace.

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


def _holder(path: Path) -> str:
    """Who has the folder, in words; the file may be missing, half an owner old, or a stranger's."""
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        process, host, doing, since = (who[name] for name in ("process", "host", "doing", "since"))
    except (OSError, ValueError, LookupError, TypeError):
        return "another process is at work in it"
    here = (process, host) == (os.getpid(), socket.gethostname())
    whose = " (this one: a round in the background, or another cell)" if here else ""
    return f"process {process} on {host}{whose} {doing} since {since}"
