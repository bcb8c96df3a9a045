"""A bounded fuzz of everything that is read: valid examples, changed a little, a lot, and by a stranger."""

import io
import os
import pickle
import shutil
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.csv_file import read_csv
from dhaps_core.data.cifar import read_cifar10
from dhaps_core.data.decoding import to_rgb8
from dhaps_core.data.sources import arrays, image_folder, list_files
from dhaps_core.results.runs import find_rounds
from dhaps_core.results.tables import round_table
from dhaps_core.retrieval.index import HammingIndex
from dhaps_core.session.active import ActiveSession
from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.grid_text import GridError
from dhaps_core.sweeps.marker import read_marker
from dhaps_core.sweeps.notebook import Notebook
from tests.given import write_grid, write_notebook

from .case import Attack, Case, Hang
from .damaged_files import templates
from .finished_sweep import finished_sweep
from .given import tiny_items, undocumented
from .mutations import mutate_bytes, mutate_json, mutate_pickle, mutate_text

__all__ = ["ATTACK"]

MEMORY = 1 << 30  # bytes that a reader may take
SECONDS = 10.0  # that it may take for an example of a few kilobytes

Change = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Reader:
    """One reader, with a folder that it reads without complaint.

    Attributes:
        make: writes a valid folder.
        read: reads it.
        changes: how each of its files may be changed, by name.
        allowed: documented exceptions besides our own.
        speed: how many more than others can be tried.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    changes: dict[str, Change]
    allowed: tuple[type[Exception], ...] = ()
    speed: float = 1.0


def _picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (9, 7)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def _make_lists(folder: Path) -> None:
    for name in ("a.png", "b c.png", "d.png"):
        _picture(len(name)).save(folder / name)
    (folder / "train.txt").write_text("a.png 0 1\nb c.png 1 0\n")
    (folder / "database.txt").write_text("a.png 0 1\nb c.png 1 0\n")
    (folder / "test.txt").write_text("d.png 1 0\n")


def _make_csv(folder: Path) -> None:
    rows = ['class,a.png,,cat,anna,1.5', 'class,b.png,,"[""cat"", 7]",anna,2',
            'pair,a.png,b.png,same,bert,0.1',
            'class,"c, d.png",,"""7""",anna,1e3', 'class,e,,-7,anna,3']  # fmt: skip
    (folder / "answers.csv").write_text("\r\n".join(["kind,a,b,value,who,seconds", *rows, ""]))


def _batches(binary: bool) -> dict[str, bytes]:
    generator, found = np.random.default_rng(0), {}
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        labels, planes = (
            np.arange(2, dtype=np.uint8) + 3,
            generator.integers(0, 256, (2, 3072), dtype=np.uint8),
        )
        if binary:
            found[f"{name}.bin"] = np.concatenate([labels[:, None], planes], axis=1).tobytes()
        else:
            batch = {
                b"batch_label": b"x",
                b"labels": labels.tolist(),
                b"data": planes,
                b"filenames": [b"f", b"g"],
            }
            found[name] = pickle.dumps(batch, protocol=2)
    names = [f"class{i}" for i in range(10)]
    if binary:
        found["batches.meta.txt"] = "\n".join(names).encode()
    else:
        found["batches.meta"] = pickle.dumps({b"label_names": [name.encode() for name in names]}, protocol=2)
    return found


def _make_batches(binary: bool) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name, data in _batches(binary).items():
            (folder / name).write_bytes(data)

    return make


def _make_archive(binary: bool, mode: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with tarfile.open(folder / "cifar.tar.gz", mode) as archive:
            for name, data in _batches(binary).items():
                member = tarfile.TarInfo(f"cifar-10-batches/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))

    return make


def _make_npz(compress: bool) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        rows = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
        save = np.savez_compressed if compress else np.savez
        labels = np.arange(12) % 3
        save(folder / "a.npz", features=rows, labels=labels, keys=np.array([f"k{i}" for i in range(12)]))

    return make


def _make_split(folder: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    labels = np.arange(12) % 3
    np.savez(folder / "a.npz", train=rows[:8], test=rows[8:], train_y=labels[:8], test_y=labels[8:])


def _make_npy(folder: Path) -> None:
    np.save(folder / "a.npy", np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32))


def _inside_zip(data: bytes, draws: Random) -> bytes:
    """A member of an .npz is changed and the archive made anew, so that its sums are right."""
    if draws.random() < 0.3:
        return mutate_bytes(data, draws)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draws.choice(sorted(members))
    members[name] = _inside_npy(members[name], draws)
    if draws.random() < 0.2:
        members[draws.choice(("labels.npy", "y.npy", "x", "../x.npy", "a.npy"))] = draws.choice(
            [*members.values()]
        )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return file.getvalue()


def _inside_npy(data: bytes, draws: Random) -> bytes:
    """The header's shape or type becomes another; its length is mended."""
    if draws.random() < 0.4 or data[:6] != b"\x93NUMPY":
        return mutate_bytes(data, draws)
    start = data.find(b"{")
    header, rest = data[start : data.find(b"\n")], data[data.find(b"\n") + 1 :]
    shapes = (
        "(1000000000000,)",
        "(12, 0)",
        "(0, 5)",
        "()",
        "(-1,)",
        "(60, 1)",
        "(12, 5, 1)",
        "(2147483648, 2)",
        "(12,)",
    )
    types = ("'|O'", "'<f8'", "'<f2'", "'>f4'", "'|S1'", "'<U9'", "'|V4'", "'<M8[ns]'", "'<c8'", "'|b1'",
             "'<i8'",
             "[('a', '<f4')]", "'<U1000000000'", "'|u1'")  # fmt: skip
    text = header.decode("latin1")
    if draws.random() < 0.5:
        text = text[: text.find("'shape':") + 9] + draws.choice(shapes) + ", }"
    else:
        text = f"{{'descr': {draws.choice(types)}" + text[text.find(", 'fortran") :]
    text += "\n"
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode() + rest


PICTURES = {
    "png": ("PNG", "RGB", {}), "png-rgba": ("PNG", "RGBA", {}), "png-p": ("PNG", "P", {}), "png-i": ("PNG",
    "I", {}),
    "jpeg": ("JPEG", "RGB", {}), "jpeg-l": ("JPEG", "L", {}), "jpeg-cmyk": ("JPEG", "CMYK", {}),
    "jpeg-progressive": ("JPEG", "RGB", {"progressive": True}), "gif": ("GIF", "P", {}), "bmp": ("BMP",
    "RGB", {}),
    "bmp-p": ("BMP", "P", {}), "tiff": ("TIFF", "RGB", {}), "tiff-lzw": ("TIFF", "RGB",
    {"compression": "tiff_lzw"}),
    "tiff-f": ("TIFF", "F", {}), "webp": ("WEBP", "RGB", {}), "webp-lossless": ("WEBP", "RGBA",
    {"lossless": True}),
    "ppm": ("PPM", "RGB", {}), "tga": ("TGA", "RGB", {}), "ico": ("ICO", "RGBA", {}), "pcx": ("PCX", "RGB",
    {}),
    "dib": ("DIB", "RGB", {}), "sgi": ("SGI", "RGB", {}), "eps": ("EPS", "RGB", {}), "pdf": ("PDF", "RGB",
    {}),
    "jp2": ("JPEG2000", "RGB", {}), "im": ("IM", "RGB", {}), "msp": ("MSP", "1", {}), "xbm": ("XBM", "1", {}),
    "mpo": ("MPO", "RGB", {}), "dds": ("DDS", "RGBA", {}), "icns": ("ICNS", "RGBA", {}), "avif": ("AVIF",
    "RGB", {}),
    "qoi": ("QOI", "RGB", {}),
}  # fmt: skip


@cache
def _pictures() -> dict[str, bytes]:
    """Small files of each format that Pillow writes here."""
    found = {}
    for name, (kind, mode, options) in PICTURES.items():
        file = io.BytesIO()
        try:
            size = (16, 16) if name in {"icns", "ico"} else (9, 7)
            _picture(len(name), mode, size).save(file, kind, **options)
        except (OSError, KeyError, ValueError):  # a format that this Pillow does not write
            continue
        found[name] = file.getvalue()
    return found


def _make_picture(folder: Path) -> None:
    for name, data in _pictures().items():
        (folder / f"{name}.jpg").write_bytes(data)


def _make_picture_folder(folder: Path) -> None:
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        for name in ("png", "jpeg", "gif"):
            (folder / label / f"{name}.jpg").write_bytes(_pictures()[name])


@cache
def _bombs() -> list[bytes]:
    """Small files of large images."""
    found = []
    for kind, mode, side in (
        ("PNG", "1", 8_000),
        ("PNG", "L", 13_000),
        ("TIFF", "L", 9_000),
        ("GIF", "L", 5_000),
    ):
        file = io.BytesIO()
        options = {"compression": "tiff_deflate"} if kind == "TIFF" else {}
        Image.new(mode, (side, side)).save(file, kind, **options)
        found.append(file.getvalue())
    return found


def _maybe_bomb(data: bytes, draws: Random) -> bytes:
    return mutate_bytes(data, draws) if draws.random() > 0.01 else draws.choice(_bombs())


def _read_pictures(folder: Path) -> None:
    changed = folder / "changed"  # the one file that differs, see _fuzz
    path = Path(changed.read_text())
    to_rgb8(path)
    to_rgb8(path, at_least=4)


def _make_index(folder: Path) -> None:
    codes = np.sign(np.random.default_rng(0).normal(size=(20, 12))).astype(np.int8)
    HammingIndex(codes, [f"item {i}" for i in range(20)]).save(folder / "index.npz")


def _read_index(folder: Path) -> None:
    index = HammingIndex.load(folder / "index.npz")
    index.search(index.codes(index.keys[:2]), 1)
    index.within(index.codes(index.keys[:2]), 3)


def _copy(kind: str) -> Callable[[Path], None]:
    return lambda folder: shutil.copytree(templates()[kind], folder, dirs_exist_ok=True)


def _read_run(folder: Path) -> None:
    session = ActiveSession(folder, tiny_items())
    try:
        session.questions()
        session.codes()
        session.outputs()
        round_table(find_rounds(folder))
    finally:
        session.store.close()


def _make_grid(folder: Path) -> None:
    text = "every: {limit: null, scale: [1, 2.5]}\nblocks:\n  a b: {seed: [0, 1], log: ./log}\n"
    write_grid(folder, text + "  c: {fail: true}\nthreads: 1\ntimeout: 60\nresources: {GPU: 1}\n")


def _make_notebook(folder: Path) -> None:
    write_notebook(folder / "tiny.ipynb")


def _read_notebook(folder: Path) -> None:
    notebook = Notebook.read(folder / "tiny.ipynb")
    for parameter in notebook.parameters.values():
        for value in (1, "a", None, [1], True):
            parameter.fault(value)


def _make_sweep(folder: Path) -> None:
    finished_sweep(folder, runs=1)
    run = next((folder / "out").iterdir())
    shutil.copytree(run, folder / "run")


@cache
def readers() -> dict[str, Reader]:
    """Every reader by its name."""
    batch = dict.fromkeys(("data_batch_1", "test_batch", "batches.meta"), mutate_pickle)
    records = {"data_batch_1.bin": mutate_bytes, "batches.meta.txt": mutate_text}
    found = (FileNotFoundError,)
    run = {"settings.json": mutate_json, "metrics.json": mutate_json, "round-003/picks.json": mutate_json,
           "splits.npz": _inside_zip, "round-002/codes.npy": _inside_npy, "kernel_means.npy": _inside_npy,
           "round-002/metrics.json": mutate_json, "round-002/weights.safetensors": mutate_bytes}  # fmt: skip
    archive = {"cifar.tar.gz": mutate_bytes}

    def one(name: str) -> Callable[[Path], object]:
        return lambda folder: arrays(folder / name, queries=2, seed=0)

    cifar = lambda folder: read_cifar10(folder / "cifar.tar.gz")  # noqa: E731
    return {
        "lists": Reader(_make_lists, list_files, dict.fromkeys(("train.txt", "test.txt", "database.txt"),
        mutate_text),
                        found, speed=0.5),
        "csv": Reader(_make_csv, lambda folder: read_csv(folder / "answers.csv"),
        {"answers.csv": mutate_text},
                      (StoreError,), speed=3),
        "cifar-python": Reader(_make_batches(False), read_cifar10, batch, found, speed=2),
        "cifar-binary": Reader(_make_batches(True), read_cifar10, records, found),
        "cifar-python-tar": Reader(_make_archive(False, "w"), cifar, archive, found),
        "cifar-python-tar-gz": Reader(_make_archive(False, "w:gz"), cifar, archive, found, speed=0.3),
        "cifar-binary-tar": Reader(_make_archive(True, "w"), cifar, archive, found, speed=0.5),
        "npz": Reader(_make_npz(False), one("a.npz"), {"a.npz": _inside_zip}, speed=2),
        "npz-compressed": Reader(_make_npz(True), one("a.npz"), {"a.npz": mutate_bytes}),
        "npz-split": Reader(_make_split, one("a.npz"), {"a.npz": _inside_zip}),
        "npy": Reader(_make_npy, one("a.npy"), {"a.npy": _inside_npy}),
        "pictures": Reader(_make_picture, _read_pictures, dict.fromkeys(
            [f"{name}.jpg" for name in _pictures()], _maybe_bomb), speed=6),
        "picture-folder": Reader(_make_picture_folder, lambda folder: image_folder(folder, queries=1, seed=0),
                                 {"cat/png.jpg": mutate_bytes, "dog/jpeg.jpg": mutate_bytes}, speed=0.3),
        "index": Reader(_make_index, _read_index, {"index.npz": mutate_bytes}, found),
        "index-of-a-stranger": Reader(_make_index, _read_index, {"index.npz": _inside_zip}, found, speed=2),
        "run": Reader(_copy("classes"), _read_run, run, (StoreError,), speed=0.3),
        "run-pairs": Reader(_copy("pairs"), _read_run, run, (StoreError,), speed=0.3),
        "grid": Reader(_make_grid, lambda folder: read_grid(folder / "grid.yaml"), {"grid.yaml": mutate_text},
                       (GridError,), speed=0.7),
        "notebook": Reader(_make_notebook, _read_notebook, {"tiny.ipynb": mutate_json}),
        "marker": Reader(_make_sweep, lambda folder: read_marker(folder / "run"),
        {"run/run.json": mutate_json}),
    }  # fmt: skip


def cases(short: bool) -> list[str]:
    return [f"{name}-{i}" for i in range(1 if short else 4) for name in readers()]


def play(case: Case) -> None:
    reader = readers()[case.name.rpartition("-")[0]]
    sound = case.folder / "sound"
    sound.mkdir()
    reader.make(sound)
    names = {name: path for pattern in reader.changes for path in sound.glob(pattern)
             for name in [path.relative_to(sound).as_posix()]}  # fmt: skip
    how = {name: change for pattern, change in reader.changes.items() for name, path in names.items()
           if path.match(pattern)}  # fmt: skip
    (sound / "changed").write_text(str(names[sorted(names)[0]])) if reader.read is _read_pictures else None
    reader.read(sound)
    folder = case.folder / "changed"
    shutil.copytree(sound, folder)
    before = {name: path.read_bytes() for name, path in names.items()}
    stray = _watch(case.folder)
    case.bound_memory(MEMORY)
    warnings.simplefilter("ignore")
    for i, draws in case.each(max(10, int((40 if case.short else 250) * reader.speed))):
        name = draws.choice(sorted(names))
        case.at(f"#{i} {name}")
        (folder / name).write_bytes(how[name](before[name], draws))
        if reader.read is _read_pictures:
            (folder / "changed").write_text(str(folder / name))
        case.tried += 1
        stray.clear()
        wrong: str | None = None
        try:
            with case.within(SECONDS):
                reader.read(folder)
        except (Exception, Hang) as error:
            wrong = undocumented(error, allowed=reader.allowed)
            if "MemoryError" in str(error) or "Unable to allocate" in str(error) or "bad_alloc" in str(error):
                wrong = f"takes more than {MEMORY >> 20} MiB: {str(error)[:200]}"
        if stray:
            wrong = f"a stranger's file makes it {stray[0]}"
        if wrong:
            case.fault(f"{case.name.rpartition('-')[0]}, {name}: {wrong}", i)
        (folder / name).write_bytes(before[name])


def _watch(folder: Path) -> list[str]:
    """What this process does that no reader may: start programs, connect, write elsewhere; from here on."""
    seen: list[str] = []
    sys.dont_write_bytecode = True
    programs = (
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.fork",
        "pty.spawn",
    )

    def hear(event: str, given: tuple) -> None:
        if event in programs:
            seen.append(f"start a program: {event} {given[:2]}")
        elif event in ("socket.connect", "socket.bind"):
            seen.append(f"use the network: {event} {given[1:]}")
        elif event == "open" and isinstance(given[0], str | bytes | os.PathLike) and _writes(given):
            path = Path(os.path.abspath(os.fsdecode(given[0])))
            if not path.is_relative_to(folder) and not path.is_relative_to("/dev"):
                seen.append(f"write to {path}")

    sys.addaudithook(hear)
    return seen


def _writes(given: tuple) -> bool:
    _, mode, flags = given
    if isinstance(mode, str):
        return bool(set(mode) & set("wax+"))
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def prepare() -> None:
    templates()
    readers()
    _bombs()


ATTACK = Attack(
    name="readers",
    promise="What comes from a stranger is read or refused in words: no crash, no hang, no other "
    "exception, no more than 1 GiB of memory, no other program, no connection, nothing "
    "written elsewhere",
    how="valid list files, CSVs, CIFAR archives (both versions, packed and unpacked), npz and "
    "npy, images of thirty formats, folders of images, indexes (also with digests mended), "
    "run folders, grids, notebooks and markers are changed in bits, bytes, lines, JSON "
    "values, pickle steps and array headers, read in a process with a memory limit and an "
    "alarm, and watched by an audit hook",
    found="Before: an EPS named .jpg started Ghostscript; headers of npz and npy asked for up to "
    "229 TiB; list files, CSVs, grids, notebooks, indexes and markers let zlib.error, "
    "UnicodeDecodeError, TokenError, RecursionError, KeyError and faiss's own errors through; "
    "NumPy's text advised to load unsafely",
    unit="changed files",
    cases=cases,
    play=play,
    prepare=prepare,
    limit=300,
)
