"""A small disk, and a folder that cannot be written, for one process: mounts in a namespace of its own."""

import ctypes
import os
from pathlib import Path

__all__ = ["CannotMount", "own_namespace", "read_only", "small_disk"]

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


class CannotMount(OSError):
    """This machine lets nobody mount in a namespace."""


def own_namespace() -> None:
    """Give this process mounts of its own; they end with it, and nobody else sees them.

    Raises:
        CannotMount: if the machine does not allow it.
    """
    user, group = os.getuid(), os.getgid()
    _do(_libc.unshare(_NEWNS if user == 0 else _NEWNS | _NEWUSER))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _do(_libc.mount(b"none", b"/", None, _REC | _PRIVATE, None))


def small_disk(folder: Path, size: int) -> None:
    """Make a folder a disk of so many bytes."""
    folder.mkdir(exist_ok=True)
    _do(_libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, f"size={size}".encode()))


def read_only(folder: Path) -> None:
    """Have a folder, as it is, refuse every change."""
    _do(_libc.mount(bytes(folder), bytes(folder), None, _BIND, None))
    _do(_libc.mount(bytes(folder), bytes(folder), None, _BIND | _REMOUNT | _RDONLY, None))


def _do(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise CannotMount(number, os.strerror(number))
