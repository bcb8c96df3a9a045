"""Measured rows of Table 1 as Markdown: values beside the paper's, the claimed order, selection, seconds."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import hypot
from statistics import median

from dhaps_core import escaping
from dhaps_core.paper.measured import TERMS, TableRun, gather
from dhaps_core.paper.rows import printed_name, variety_of, with_variety
from dhaps_core.paper.table import BITS, DATASETS, ORDER, ROWS, Claim, claims
from dhaps_core.results.compare import Interval, grouped, interval, last_by_seed
from dhaps_core.results.tables import Marked, Table, count_range

__all__ = ["check_claims", "markdown", "order", "report", "seconds", "selection", "verdict"]

Cells = Mapping[tuple[str, int], Interval]
Lines = dict[str, dict[int, str]]


def report(runs: Sequence[TableRun]) -> str:
    """All that follows of runs of one kind, one below the other; mAP@all in %."""
    parts = {
        "mAP@all in %: mean ± standard deviation (seeds)": markdown(runs),
        "The paper's order, in points": order(gather(runs)),
        "Selected minus random labels, in points": selection(runs),
        "Seconds per run": seconds(runs),
    }
    sections = [f"## {title}\n\n{table}" for title, table in parts.items()]
    return "\n\n".join([f"Runs of {escaping.markdown(runs[0].kind)}.", *sections]) + "\n"


def markdown(runs: Sequence[TableRun]) -> str:
    """Each row with its labelled items, its rounds and each code length, then as printed in the paper.

    mAP in %. A row in another variety than the paper's has the paper's numbers beside it, too.
    """
    cells, stands_for = gather(runs), runs[0].table["stands_for"]
    lengths = {bits for _, bits in cells}
    printed = {
        row.name: {
            bits: f"{value:.1f}"
            for bits, value in zip(BITS, row.values.get(stands_for, ()), strict=False)
            if value is not None
        }
        for row in ROWS
    }
    names = _all_rows(row for row, _ in cells)
    ours: Lines = {
        name: {bits: cells[name, bits].percent() for bits in lengths if (name, bits) in cells}
        for name in names
    }
    theirs: Lines = {name: printed.get(printed_name(name), {}) for name in names}
    spent = grouped(runs, lambda run: run.row)
    told = tuple(
        (
            name,
            count_range(run.labels for run in spent.get(name, ())),
            count_range(run.table["rounds"] for run in spent.get(name, ())),
        )
        for name in names
    )
    here = Table.by_length(ours, lengths, corner="row", unit=" bits, here")
    beside = lengths & set(BITS) if stands_for in DATASETS else ()
    paper = Table.by_length(theirs, beside, corner="row", unit=", paper", missing="-")
    return Table(("row", "labels", "rounds"), told).beside(here).beside(paper).markdown()


def check_claims(cells: Cells, bits: int) -> list[Claim]:
    """The paper's order, checked on the means of one code length; then what is measured of it otherwise.

    Of rows of DH-APS in another variety, as literal ones, only claims with all their rows measured are there.
    """
    values = {row: cell.mean for (row, length), cell in cells.items() if length == bits}
    found = claims(values)
    for variety in sorted({variety_of(row) for row, _ in cells} - {""}):
        varied = partial(_varied, variety=variety)
        found += [claim for claim in claims(values, map(varied, ORDER)) if claim.holds is not None]
    return found


def _varied(claim: str, variety: str) -> str:
    """A claim of the paper about its rows of DH-APS in another variety."""
    names = sorted((row.name for row in ROWS), key=len, reverse=True)  # DH is the beginning of others
    return re.sub("|".join(map(re.escape, names)), lambda at: with_variety(at[0], variety), claim)


def order(cells: Cells) -> str:
    """By how many points each claim of the paper holds or fails, for each code length.

    A gap is that of the two rows between which it is least, with the standard deviation of their difference,
    or with (1 seed) where one of them has no other.
    """
    lengths = {length for _, length in cells}
    lines: Lines = {}
    for bits in lengths:
        for claim in check_claims(cells, bits):
            lines.setdefault(claim.text, {})[bits] = verdict(claim, cells, bits)
    return Table.by_length(lines, lengths, corner="claim").markdown()


def verdict(claim: Claim, cells: Cells, bits: int) -> str:
    """A claim in words, at one code length.

    Example:
        >>> worse, better = interval([0.62, 0.64]), interval([0.62, 0.66])
        >>> cells = {("PTS3H", 32): worse, ("DH-APS+PTS3H", 32): better}
        >>> verdict(check_claims(cells, 32)[-1], cells, 32)
        '+1.0 ± 3.2: within the spread'
    """
    if claim.gap is None or claim.rows is None:
        return "not measured"
    both = [cells[row, bits] for row in claim.rows]
    gap = f"{100 * claim.gap:+.1f}"
    if min(cell.n for cell in both) < 2:
        return f"{gap} (1 seed)" if claim.holds else Marked(f"**{gap} (1 seed): does not hold**")
    spread = hypot(*(cell.spread for cell in both))
    gap += f" ± {100 * spread:.1f}"
    if abs(claim.gap) < spread:
        return f"{gap}: within the spread"
    return gap if claim.holds else Marked(f"**{gap}: does not hold**")


def selection(runs: Sequence[TableRun]) -> str:
    """What selection gains in mAP@all over as many random labels, seed by seed: mean ± deviation (seeds).

    Beside the random row that was trained alike: with the same method and the same terms.
    """
    lines: Lines = {}

    def alike(run: TableRun) -> tuple[str, float, str, int, tuple[float, ...]]:
        trained = tuple(run.settings["training"].get(name, 0.0) for name in TERMS)
        return run.settings["method"], run.share, run.table["budget"], run.bits, trained

    for (*_, bits, _), some in sorted(grouped(runs, alike).items()):
        drawn = last_by_seed([run for run in some if run.table["acquisition"] == "random"], "mAP@all")
        others = [run for run in some if run.table["acquisition"] != "random"]
        for row, group in sorted(grouped(others, lambda run: run.row).items()):
            chosen = last_by_seed(group, "mAP@all")
            if gains := [chosen[seed] - drawn[seed] for seed in chosen if seed in drawn]:
                lines.setdefault(row, {})[bits] = interval(gains).percent("+")
    if not lines:
        return "No two runs are here that differ in nothing but who chose the labels."
    return Table.by_length(lines, (run.bits for run in runs), corner="row").markdown()


def seconds(runs: Sequence[TableRun]) -> str:
    """Median seconds of a run: training, selection and evaluation of all its rounds together."""
    by_row = grouped(runs, lambda run: run.row)
    lines: Lines = {
        row: {
            bits: f"{median(run.seconds for run in some):.0f}"
            for bits, some in grouped(by_row[row], lambda run: run.bits).items()
        }
        for row in _all_rows(by_row)
        if row in by_row
    }
    return Table.by_length(lines, (run.bits for run in runs), corner="row", missing="-").markdown()


def _all_rows(measured: Iterable[str]) -> list[str]:
    """The paper's rows in its order, then others."""
    names = [row.name for row in ROWS]
    return names + sorted(set(measured) - set(names))
