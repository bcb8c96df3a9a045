"""A disk that fills up while something is written, and is freed."""

import errno
import json
from pathlib import Path

import pandas

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.questions import label_oracle
from dhaps_core.session.active import ActiveSession
from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.manifest import write_manifest, write_table

from .case import Attack, Case
from .damaged_files import read_embeddings
from .finished_sweep import finished_sweep
from .given import ROUNDS, SETTINGS, advance, leftovers, numbers, tiny_items, undocumented
from .kills import exported, undisturbed
from .namespaces import CannotMount, own_namespace, small_disk

__all__ = ["ATTACK"]

DISK = 3 << 20
LEFT = (0, 1 << 12, 1 << 13, 3 << 12, 1 << 15, 3 << 14, 1 << 16, 3 << 15, 1 << 17)  # bytes, around each write


def cases(short: bool) -> list[str]:
    whats = ("opening", "answering", "training", "exporting", "embedding", "table")
    lefts = LEFT[1::4] if short else LEFT
    return [f"{what}-{left}" for what in whats for left in lefts]


def play(case: Case) -> None:
    what, left = case.name.split("-")
    disk = case.folder / "disk"
    try:
        own_namespace()
        small_disk(disk, DISK)
    except CannotMount as error:
        case.note(f"not tried: a small disk cannot be mounted here ({error.strerror})")
        return
    globals()[f"_{what}"](case, disk, int(left))
    case.tried += 1


def _fill(disk: Path, left: int) -> Path:
    """Leave so many bytes free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 12))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017
        file.truncate(max(0, file.tell() - left))
    return filler


def _full(case: Case, work, disk: Path) -> None:
    """Do some work on the full disk: it succeeds or says in words that the disk is full."""
    try:
        work()
    except Exception as error:
        wrong = undocumented(error, allowed=(OSError, StoreError))
        if not wrong and not any(word in str(error).lower() for word in ("space", "disk is full", "full")):
            wrong = f"does not say that the disk is full: {type(error).__name__}: {error}"
        if (
            not wrong
            and str(disk) not in str(error)
            and not any(
                name in str(error)
                for name in ("labels.sqlite", "metrics.json", "table", "weights", "codes", "picks")
            )
        ):
            wrong = f"names no file: {type(error).__name__}: {error}"
        if wrong:
            case.fault(wrong)


def _opening(case: Case, disk: Path, left: int) -> None:
    filler = _fill(disk, left)
    _full(case, lambda: ActiveSession(disk / "run", tiny_items(), SETTINGS["classes"]), disk)
    filler.unlink()
    _ends_well(case, disk)


def _ends_well(case: Case, disk: Path) -> None:
    session = advance(ActiveSession(disk / "run", tiny_items(), SETTINGS["classes"]), ROUNDS)
    rows = [numbers(row) for row in session.history]
    case.require(rows == undisturbed("classes")["rows"], "with space again it ends with other numbers")
    case.require(not (left := leftovers(disk)), f"leftovers: {left[:3]}")


def _answering(case: Case, disk: Path, left: int) -> None:
    session = advance(ActiveSession(disk / "run", tiny_items(), SETTINGS["classes"]), 1)
    oracle, questions = label_oracle(tiny_items()), session.questions()
    filler = _fill(disk, left)
    acknowledged: list[str] = []

    def work() -> None:
        for question in questions:
            session.answer(question, oracle(question), who="oracle", seconds=0.0)
            acknowledged.append(question.id)

    _full(case, work, disk)
    _kept(case, session, acknowledged)
    filler.unlink()
    again = [one.id for one in session.questions()]
    case.require(
        again == [one.id for one in questions if one.id not in acknowledged], "it asks otherwise after"
    )
    advance(session, 1)
    session.store.close()
    _ends_well(case, disk)


def _kept(case: Case, session: ActiveSession, acknowledged: list[str]) -> None:
    stored = [answer.question for answer in session.store.answers()]
    case.require(
        stored == acknowledged, f"of {len(acknowledged)} acknowledged answers {len(stored)} are there"
    )


def _training(case: Case, disk: Path, left: int) -> None:
    session = advance(ActiveSession(disk / "run", tiny_items(), SETTINGS["classes"]), 1)
    session.answer_all(label_oracle(tiny_items()))
    filler = _fill(disk, left)
    _full(case, session.train, disk)
    filler.unlink()
    session.store.close()
    _ends_well(case, disk)


def _exporting(case: Case, disk: Path, left: int) -> None:
    session = advance(ActiveSession(disk / "run", tiny_items(), SETTINGS["classes"]), ROUNDS)
    session.export(disk / "result")
    before = exported(disk / "result")
    filler = _fill(disk, left)
    _full(case, lambda: session.export(disk / "result"), disk)
    case.require(exported(disk / "result") == before, "the export before is damaged")
    filler.unlink()
    session.export(disk / "result")
    case.require(exported(disk / "result") == before, "the export after is another")
    case.require(not (left := leftovers(disk)), f"leftovers: {left[:3]}")


def _embedding(case: Case, disk: Path, left: int) -> None:
    expected = read_embeddings(case.folder / "elsewhere")
    filler = _fill(disk, left)
    _full(case, lambda: read_embeddings(disk / "cache"), disk)
    filler.unlink()
    case.require(read_embeddings(disk / "cache") == expected, "with space again the embeddings are others")
    case.require(not (left := leftovers(disk)), f"leftovers: {left[:3]}")


def _table(case: Case, disk: Path, left: int) -> None:
    grid = read_grid(finished_sweep(disk, runs=6))
    out = disk / "out"
    write_table(grid, out, {})
    before = (out / "table.csv").read_text(), pandas.read_parquet(out / "table.parquet")
    filler = _fill(disk, left)

    def work() -> None:
        write_manifest(grid, out, {}, started=0.0, git={})
        write_table(grid, out, {})

    _full(case, work, disk)
    case.require((out / "table.csv").read_text() == before[0], "the table before is damaged")
    case.require(pandas.read_parquet(out / "table.parquet").equals(before[1]), "the table before is damaged")
    filler.unlink()
    work()
    json.loads((out / "manifest.json").read_text())
    case.require(not (left := leftovers(disk)), f"leftovers: {left[:3]}")


ATTACK = Attack(
    name="full_disk",
    promise="A full disk is named in words; nothing that was there is lost, nothing half-written "
    "takes its place, and with space again the work goes on",
    how="a disk of 3 MB of the process's own is filled but for 0 to 128 KiB while a run opens, "
    "answers, trains and exports, embeddings are cached, a sweep's table is written; then it "
    "is freed and the run is ended",
    found="Before: nothing was lost, but 'No space left on device' named no file. Now every writer "
    "of whole files names its file; the store always did",
    unit="full disks",
    cases=cases,
    play=play,
    prepare=lambda: undisturbed("classes"),
)
