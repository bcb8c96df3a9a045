"""Every file that we keep, damaged in every way, in turn."""

import atexit
import shutil
import tempfile
from functools import cache
from operator import eq
from pathlib import Path

import numpy as np

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.csv_file import read_csv
from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.images import ArrayImages
from dhaps_core.data.items import Items
from dhaps_core.find.loaded import load
from dhaps_core.hashing.backbones import pixels
from dhaps_core.hashing.embed import embed
from dhaps_core.results.runs import find_rounds
from dhaps_core.session.active import ActiveSession

from .case import Attack, Case
from .damage import try_reader
from .given import ROUNDS, SETTINGS, advance, numbers, tiny_items

__all__ = ["ATTACK", "templates"]


@cache
def templates() -> dict[str, Path]:
    """Sound folders to damage, by kind."""
    base = Path(tempfile.mkdtemp(prefix="trust-sound-"))
    base.chmod(0o755)
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    found = {}
    for question in SETTINGS:
        folder = base / question
        session = advance(ActiveSession(folder, tiny_items(), SETTINGS[question]), ROUNDS)
        oracle = label_oracle(tiny_items())
        for asked in session.questions()[:2]:
            session.answer(asked, oracle(asked), who="anna", seconds=1.0)
        found[f"running-{question}"] = base / f"{question}-copied"
        shutil.copytree(folder, found[f"running-{question}"])  # while it is open: with its -wal file
        session.store.close()
        found[question] = folder
        session = ActiveSession(folder, tiny_items())
        session.export(base / "export")
        session.store.close()
    found["export"] = base / "export"
    found["embeddings"] = base / "embeddings"
    read_embeddings(found["embeddings"])
    return found


def read_run(folder: Path) -> dict:
    """All that a run tells, and its numbers when it goes on."""
    session = ActiveSession(folder, tiny_items())
    try:
        told = {
            "rows": [numbers(row) for row in session.history],
            "answers": [(one.keys, one.value, one.who, one.question) for one in session.store.answers()],
            "questions": [(one.id, one.keys) for one in session.questions()],
            "codes": [session.codes(number).tolist() for number in range(session.round)],
            "outputs": [session.outputs(number).tolist() for number in range(session.round)],
        }
        advance(session, ROUNDS + 2)
        told["end"] = [numbers(row) for row in session.history]
        told["listed"] = [numbers(row) for row in find_rounds(folder)["."]]
        return told
    finally:
        session.store.close()


def read_export(folder: Path) -> dict:
    """What our own readers read of an export."""
    found = load(folder)
    answers = [(one.kind, one.keys, one.value, one.who) for one in read_csv(folder / "answers.csv")]
    codes = found.encode(tiny_items().features).tolist()
    return {
        "keys": found.index.keys,
        "packed": found.index.packed().tolist(),
        "codes": codes,
        "answers": answers,
    }


@cache
def pictures() -> Items:
    generator = np.random.default_rng(0)
    shown = ArrayImages(generator.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8))
    rows = np.arange(20)
    splits = {"train": rows[5:], "query": rows[:5], "database": rows[5:]}
    return Items(tuple(map(str, rows)), None, shown, None, (), splits, "by hand", "made")


def read_embeddings(folder: Path) -> list:
    return embed(pictures(), pixels(8), size=32, cache=folder).tolist()


READERS = {"export": read_export, "embeddings": read_embeddings}


def files(kind: str) -> list[str]:
    folder = templates()[kind]
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def cases(short: bool) -> list[str]:
    kinds = ("classes", "export", "embeddings") if short else tuple(templates())
    return [f"{kind}/{name}" for kind in kinds for name in files(kind)]


def play(case: Case) -> None:
    kind, _, name = case.name.partition("/")
    words = {Path(name).name}
    if kind == "embeddings":
        words.add(Path(name).parent.name)
    if Path(name).name.startswith("labels.sqlite"):
        words.add("labels.sqlite")
    try_reader(
        case,
        templates()[kind],
        name,
        READERS.get(kind, read_run),
        allowed=(StoreError, OSError) if kind in READERS else (StoreError,),
        named=tuple(words),
        same=AS_GOOD.get(name, eq),
    )


def _but_the_choice(got: dict, expected: dict) -> bool:
    """Whether pairs were chosen anew, which lost nothing: every answer counts, finished rounds are as
    they were."""
    return all(got[name] == expected[name] for name in ("rows", "answers", "codes", "outputs"))


AS_GOOD = {
    f"round-{ROUNDS:03d}/picks.json": _but_the_choice,
    "answers.csv": lambda got, expected: got["codes"] == expected["codes"],  # people change it, and may
}


ATTACK = Attack(
    name="damaged_files",
    promise="A damaged or missing file of a run, an index, an export or a cache of embeddings is "
    "named in one sentence, or everything is as before; it is never a silent new start, and "
    "an error changes nothing",
    how="every file is emptied, cut, overwritten, bit-flipped, deleted, and replaced by a folder "
    "or a dangling link, in turn, in runs closed and copied while open; all is read, the run "
    "goes on, and after an error the file is put back and all must be as it was",
    found="Before: 257 of 460 damages were met with JSONDecodeError, BadZipFile, SafetensorError, "
    "IsADirectoryError or advice to load unsafely, and a deleted or emptied store, metrics or "
    "settings began a new run without a word. Now one sentence that names the file and the "
    "way out. A CSV is made to be edited: what still reads as answers is believed. Pairs lost "
    "before a round is trained are chosen anew; no answer is lost by it",
    unit="damages",
    cases=cases,
    play=play,
    prepare=templates,
    limit=240,
)
