"""Every file of a sweep's folder, damaged in every way: the other runs get their table."""

import json
import shutil
from pathlib import Path

import pandas

from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.manifest import write_manifest, write_table

from .case import Attack, Case, Hang
from .damage import DAMAGES, damage
from .finished_sweep import finished_sweep

__all__ = ["ATTACK"]

RUNS, DAMAGED = 3, 1
FILES = ("run.json", "metrics.json", "started.json", "tiny.ipynb", "table.csv", "table.parquet",
         "manifest.json",
         "the run's folder")  # fmt: skip


def cases(short: bool) -> list[str]:
    return list(FILES[:2] if short else FILES)


def play(case: Case) -> None:
    for i, draws in case.each(len(DAMAGES)):
        how = DAMAGES[i]
        if case.short and case.only is None and i % 3:
            continue
        case.at(f"#{i} {case.name} {how}")
        folder = case.folder / "sweep"
        folder.mkdir()
        grid = read_grid(finished_sweep(folder, runs=RUNS))
        out = folder / "out"
        sound = write_table(grid, out, {})
        write_manifest(grid, out, {}, started=0.0, git={})
        run = out / grid.cells[DAMAGED].run
        if case.name == "the run's folder":
            shutil.rmtree(run)
            if how not in ("deleted", "a folder"):
                run.write_bytes(draws.randbytes(9))
        else:
            damage((run if (run / case.name).exists() else out) / case.name, how, draws)
        case.tried += 1
        try:
            with case.within(30):
                _look(case, i, how, grid, out, sound)
        except (Exception, Hang) as error:
            # What lies in the way of the table itself is refused; that cannot cost the runs.
            blocked = how == "a folder" and case.name.startswith(("table", "manifest"))
            if not (blocked and isinstance(error, OSError) and case.name in str(error)):
                case.fault(
                    f"{case.name} {how}: the table of all runs is lost: {type(error).__name__}: {error}", i
                )
        shutil.rmtree(folder)


def _look(case: Case, i: int, how: str, grid, out: Path, sound) -> None:
    write_manifest(grid, out, {}, started=0.0, git={})
    table = write_table(grid, out, {})
    json.loads((out / "manifest.json").read_text())
    pandas.read_parquet(out / "table.parquet")
    others = [row for row in range(RUNS) if row != DAMAGED]
    columns = ["run", "state", "mAP", "items", "seed"]
    if not table.loc[others, columns].astype(object).equals(sound.loc[others, columns].astype(object)):
        case.fault(f"{case.name} {how}: the other runs have other numbers", i)
    now, before = table.loc[DAMAGED], sound.loc[DAMAGED]
    if now["state"] == "finished" and (pandas.isna(now["mAP"]) or now["mAP"] != before["mAP"]):
        case.fault(f"{case.name} {how}: the damaged run has another number without a word", i)
    if now["state"] == "failed" and case.name not in str(now["error"]):
        case.fault(f"{case.name} {how}: the error does not name the file: {now['error']}", i)


ATTACK = Attack(
    name="damaged_sweeps",
    promise="A damaged file of one run costs that run alone: the other runs get their table, and the "
    "table says which file it was",
    how="every file of a finished run and of its sweep is damaged in every way, in turn, and the "
    "table is written again",
    found="Before: one damaged run.json or metrics.json cost the table of all runs (32 of 40 "
    "damages). Now the damaged run is named in its row",
    unit="damages",
    cases=cases,
    play=play,
    limit=240,
)
