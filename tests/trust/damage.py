"""Ways in which a file is damaged, and whether what a reader then does is right."""

import os
import random
import shutil
from collections.abc import Callable
from operator import eq
from pathlib import Path

from .case import Case, Hang
from .given import undocumented

__all__ = ["DAMAGES", "damage", "try_reader"]


def _cut(share: float) -> Callable[[bytes, random.Random], bytes]:
    return lambda data, draws: data[: int(share * len(data))]


def _flip(data: bytes, draws: random.Random) -> bytes:
    at = draws.randrange(max(1, len(data)))
    return data and data[:at] + bytes([data[at] ^ 1 << draws.randrange(8)]) + data[at + 1 :]


CONTENTS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "emptied": lambda data, draws: b"",
    "cut to its first byte": lambda data, draws: data[:1],
    "cut to half": _cut(0.5),
    "cut to nine tenths": _cut(0.9),
    "cut by its last byte": lambda data, draws: data[:-1],
    "overwritten with garbage": lambda data, draws: draws.randbytes(len(data)),
    "overwritten with zeros": lambda data, draws: bytes(len(data)),
    "begun with garbage": lambda data, draws: draws.randbytes(16) + data[16:],
    "with garbage behind": lambda data, draws: data + draws.randbytes(100),
    "null": lambda data, draws: b"null",
    "[]": lambda data, draws: b"[]",
    "{}": lambda data, draws: b"{}",
    "one bit flipped (1)": _flip,
    "one bit flipped (2)": _flip,
    "one bit flipped (3)": _flip,
    "one bit flipped (4)": _flip,
}
DAMAGES = (*CONTENTS, "deleted", "a folder", "a dangling link", "a link to itself")


def damage(path: Path, how: str, draws: random.Random) -> None:
    """Damage a file."""
    if how in CONTENTS:
        path.write_bytes(CONTENTS[how](path.read_bytes(), draws))
        return
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how == "a dangling link":
        path.symlink_to("nowhere")
    elif how == "a link to itself":
        path.symlink_to(path.name)


def try_reader(
    case: Case,
    template: Path,
    name: str,
    read: Callable[[Path], object],
    *,
    allowed: tuple[type[BaseException], ...] = (),
    named: tuple[str, ...],
    same: Callable[[object, object], bool] = eq,
) -> None:
    """Damage one file of a folder in every way; reading must give what it gave, or an error that names it.

    After an error the file is put back, and all must be as it was: an error changes nothing.

    Args:
        case: of an attack.
        template: a sound folder.
        name: of the file in it.
        read: reads all there is, and goes on with it; what it returns is compared.
        allowed: exceptions that are documented besides our own.
        named: words of which the message must have one.
        same: whether what was read (first) is as good as what was there (second).
    """
    sound = case.folder / "sound"
    shutil.copytree(template, sound, symlinks=True)
    expected = read(sound)
    shutil.rmtree(sound)
    for i, draws in case.each(len(DAMAGES)):
        how = DAMAGES[i]
        if case.short and case.only is None and (i + len(name)) % 4:
            continue  # a quarter of them, others for each file
        case.at(f"#{i} {name} {how}")
        folder = case.folder / "damaged"
        shutil.copytree(template, folder, symlinks=True)
        damage(folder / name, how, draws)
        case.tried += 1
        try:
            with case.within(20):
                got = read(folder)
            if not same(got, expected):
                case.fault(f"{name} {how}: reads something else, without a word{_first(got, expected)}", i)
        except (Exception, Hang) as error:
            wrong = undocumented(error, allowed=allowed)
            if wrong is None and not any(word in str(error) for word in named):
                wrong = f"does not name the file: {type(error).__name__}: {str(error)[:200]}"
            if wrong:
                case.fault(f"{name} {how}: {wrong}", i)
            else:
                _put_back(template, folder, name)
                try:
                    if read(folder) != expected:
                        case.fault(
                            f"{name} {how}: after the error and with the file back, it reads otherwise", i
                        )
                except Exception as error:
                    case.fault(f"{name} {how}: with the file back, still {type(error).__name__}: {error}", i)
        shutil.rmtree(folder)


def _first(got: object, expected: object) -> str:
    """Where two results differ first, if they are dictionaries."""
    if isinstance(got, dict) and isinstance(expected, dict):
        return f" ({', '.join(name for name in expected if got.get(name) != expected[name])})"
    return ""


def _put_back(template: Path, folder: Path, name: str) -> None:
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(template / name, path)
