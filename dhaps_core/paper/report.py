"""Measured rows of Table 1 as Markdown: values beside the paper's, the claimed order, selection, seconds."""

from collections.abc import Iterable, Mapping, Sequence
from math import hypot
from statistics import median

from dhaps_core import escaping
from dhaps_core.paper.cut_off import customary, left_out
from dhaps_core.paper.measured import TableRun, gather
from dhaps_core.paper.table import BITS, DATASETS, ROWS, UNLIKE, Claim, claims, printed_values
from dhaps_core.results.compare import Interval, grouped, interval, last_by_seed
from dhaps_core.results.tables import Marked, Table

__all__ = ["check_claims", "markdown", "order", "report", "seconds", "selection", "verdict"]

Cells = Mapping[tuple[str, int], Interval]
Lines = dict[str, dict[int, str]]


def report(runs: Sequence[TableRun]) -> str:
    """All that follows of runs of one kind, one below the other; mAP@all in %."""
    cells, stands_for = gather(runs), runs[0].table["stands_for"]
    parts = {
        "mAP@all in %: mean ± standard deviation (seeds)": markdown(runs),
        "The paper's order, in points": order(cells, stands_for),
        "Selected minus random labels, in points": selection(runs),
        "Seconds per run": seconds(runs),
    }
    sections = [f"## {title}\n\n{table}" for title, table in parts.items()]
    return "\n\n".join([f"Runs of {escaping.markdown(runs[0].kind)}.", *sections]) + "\n"


def markdown(runs: Sequence[TableRun]) -> str:
    """Each row and code length as measured here, then as printed in the paper; mAP in %.

    Measured are mAP@all and, beside it, mAP at the cut-off that the field reports on the data set
    (:mod:`dhaps_core.paper.cut_off`); a line below tells where that could not be, and another one what makes
    rows unlike the paper's. The paper's numbers stand where it has that length.
    """
    cells, stands_for = gather(runs), runs[0].table["stands_for"]
    lengths = {bits for _, bits in cells}
    names = _all_rows(row for row, _ in cells)
    theirs: Lines = {name: {} for name in names}
    for row in ROWS:
        values = zip(BITS, row.values.get(stands_for, ()), strict=False)
        theirs[row.name] = {bits: f"{value:.1f}" for bits, value in values if value is not None}
    table = Table.by_length(_percents(cells, names), lengths, corner="row", unit=" bits, here")
    metric, lacking = customary(stands_for), left_out(runs)
    if metric is not None and not lacking:
        cut = _percents(gather(runs, metric), names)
        table = table.beside(Table.by_length(cut, lengths, corner="row", unit=f", {metric}", missing="-"))
    printed = lengths & set(BITS) if stands_for in DATASETS else ()
    table = table.beside(Table.by_length(theirs, printed, corner="row", unit=", paper", missing="-"))
    return "\n\n".join(filter(None, [table.markdown(), lacking, UNLIKE.get(stands_for)]))


def _percents(cells: Cells, names: Iterable[str]) -> Lines:
    """Lines of the rows in percent."""
    lines: Lines = {name: {} for name in names}
    for (name, bits), cell in cells.items():
        lines[name][bits] = cell.percent()
    return lines


def check_claims(cells: Cells, bits: int) -> list[Claim]:
    """The paper's order, checked on the means of one code length."""
    return claims({row: cell.mean for (row, length), cell in cells.items() if length == bits})


def order(cells: Cells, stands_for: str = "") -> str:
    """By how many points each claim of the paper holds or fails, for each code length.

    A gap is that of the two rows between which it is least, with the standard deviation of their difference,
    or with (1 seed) where one of them has no other. Beside it stands what the paper's own numbers give, where
    it prints all of a claim's rows: on CIFAR-10 with 12 bits they do not bear out that 30 % is at most DSH.
    """
    lengths = {length for _, length in cells}
    lines: Lines = {}
    for bits in lengths:
        for claim in check_claims(cells, bits):
            lines.setdefault(claim.text, {})[bits] = verdict(claim, cells, bits)
    theirs: Lines = {text: {} for text in lines}
    printed = sorted(lengths & set(BITS)) if stands_for in DATASETS else []
    for bits in printed:
        for claim in claims(printed_values(stands_for, bits)):
            if claim.gap is not None:
                gap = f"{100 * claim.gap:+.1f}"
                theirs[claim.text][bits] = gap if claim.holds else Marked(f"**{gap}: does not hold**")
    here = Table.by_length(lines, lengths, corner="claim")
    return here.beside(
        Table.by_length(theirs, printed, corner="claim", unit=", paper", missing="-")
    ).markdown()


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
    """What selection gains in mAP@all over as many random labels, seed by seed: mean ± deviation (seeds)."""
    lines: Lines = {}
    alike = grouped(runs, lambda run: (run.settings["method"], run.share, run.table["budget"], run.bits))
    for (method, _, budget, bits), some in sorted(alike.items()):
        by_who = {
            who: last_by_seed(group, "mAP@all")
            for who, group in grouped(some, lambda run: str(run.table["acquisition"])).items()
        }
        drawn = by_who.pop("random", {})
        for who, chosen in sorted(by_who.items()):
            if gains := [chosen[seed] - drawn[seed] for seed in chosen if seed in drawn]:
                name = f"{method}, {budget}" + ("" if who == "dhaps" else f", {who}")
                lines.setdefault(name, {})[bits] = interval(gains).percent("+")
    if not lines:
        return "No two runs are here that differ in nothing but who chose the labels."
    lengths = (run.bits for run in runs)
    return Table.by_length(lines, lengths, corner="method and budget").markdown()


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
