"""Measured rows of Table 1 as Markdown: values beside the paper's, the claimed order, selection, seconds."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import hypot
from statistics import median
from typing import Any

from dhaps_core import escaping
from dhaps_core.paper.cut_off import customary, left_out
from dhaps_core.paper.measured import TERMS, TableRun, gather
from dhaps_core.paper.rows import printed_name, variety_of, with_variety
from dhaps_core.paper.table import BITS, DATASETS, ORDER, ROWS, UNLIKE, Claim, claims, printed_values
from dhaps_core.results.compare import Interval, grouped, interval, last_by_seed
from dhaps_core.results.tables import Marked, Table, count_range

__all__ = ["check_claims", "markdown", "order", "parts", "report", "seconds", "selection", "verdict"]

PARTS: Mapping[str, Callable[[TableRun], float]] = {
    "MMD_S": lambda run: run.settings["training"].get("mmd", 0.0),
    "the similarity term": lambda run: run.settings["training"].get("similarity", 0.0),
    "several rounds": lambda run: float(run.table["rounds"] > 1),
}
"""What a row may have or not, as a number that is greater where it has it."""

Cells = Mapping[tuple[str, int], Interval]
Lines = dict[str, dict[int, str]]


def report(runs: Sequence[TableRun]) -> str:
    """All that follows of runs of one kind, one below the other; mAP@all in %."""
    cells, stands_for = gather(runs), runs[0].table["stands_for"]
    tables = {
        "mAP@all in %: mean ± standard deviation (seeds)": markdown(runs),
        "The paper's order, in points": order(cells, stands_for),
        "Selected minus random labels, in points": selection(runs),
        "What each part brings, in points": parts(runs),
        "Seconds per run": seconds(runs),
    }
    sections = [f"## {title}\n\n{table}" for title, table in tables.items()]
    return "\n\n".join([f"Runs of {escaping.markdown(runs[0].kind)}.", *sections]) + "\n"


def markdown(runs: Sequence[TableRun]) -> str:
    """Each row with its labelled items, its rounds and each code length, then as printed in the paper.

    Measured are mAP@all and, beside it, mAP at the cut-off that the field reports on the data set
    (:mod:`dhaps_core.paper.cut_off`), in %; a line below tells where that could not be, and another one what
    makes rows unlike the paper's. The paper's numbers stand where it has that length; a row in another
    variety than the paper's has them beside it, too.
    """
    cells, stands_for = gather(runs), runs[0].table["stands_for"]
    lengths = {bits for _, bits in cells}
    names = _all_rows(row for row, _ in cells)
    here = Table.by_length(_percents(cells, names), lengths, corner="row", unit=" bits, here")
    table = _spent(runs, names).beside(here)
    metric, lacking = customary(stands_for), left_out(runs)
    if metric is not None and not lacking:
        cut = _percents(gather(runs, metric), names)
        table = table.beside(Table.by_length(cut, lengths, corner="row", unit=f", {metric}", missing="-"))
    printed = _printed(stands_for, lengths)
    theirs: Lines = {name: {} for name in names}
    for bits, values in printed.items():
        for name in names:
            if printed_name(name) in values:
                theirs[name][bits] = f"{100 * values[printed_name(name)]:.1f}"
    table = table.beside(Table.by_length(theirs, printed, corner="row", unit=", paper", missing="-"))
    return "\n\n".join(filter(None, [table.markdown(), lacking, UNLIKE.get(stands_for)]))


def _spent(runs: Sequence[TableRun], names: Iterable[str]) -> Table:
    """Items labelled and rounds of each row."""
    by_row = grouped(runs, lambda run: run.row)
    told = tuple(
        (
            name,
            count_range(run.labels for run in by_row.get(name, ())),
            count_range(run.table["rounds"] for run in by_row.get(name, ())),
        )
        for name in names
    )
    return Table(("row", "labels", "rounds"), told)


def _percents(cells: Cells, names: Iterable[str]) -> Lines:
    """Lines of the rows in percent."""
    lines: Lines = {name: {} for name in names}
    for (name, bits), cell in cells.items():
        lines[name][bits] = cell.percent()
    return lines


def _printed(stands_for: str, lengths: Iterable[int]) -> dict[int, dict[str, float]]:
    """The paper's values by code length and row, of those lengths that it has; empty for other data."""
    known = sorted(set(lengths) & set(BITS)) if stands_for in DATASETS else []
    return {bits: printed_values(stands_for, bits) for bits in known}


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


def order(cells: Cells, stands_for: str = "") -> str:
    """By how many points each claim of the paper holds or fails, for each code length.

    A gap is that of the two rows between which it is least, with the standard deviation of their difference,
    or with (1 seed) where one of them has no other. Beside it stands what the paper's own numbers give, where
    it prints all of a claim's rows: on CIFAR-10 with 12 bits they do not bear out that 30 % is at most DSH. A
    claim about another variety has the paper's gap of its own rows beside it.
    """
    lengths = {length for _, length in cells}
    lines: Lines = {}
    for bits in lengths:
        for claim in check_claims(cells, bits):
            lines.setdefault(claim.text, {})[bits] = verdict(claim, cells, bits)
    theirs: Lines = {text: {} for text in lines}
    printed = _printed(stands_for, lengths)
    for bits, values in printed.items():
        said = {claim.text: claim for claim in claims(values)}
        for text in lines:
            claim = said[printed_name(text)]
            if claim.gap is not None:
                gap = f"{100 * claim.gap:+.1f}"
                theirs[text][bits] = gap if claim.holds else Marked(f"**{gap}: does not hold**")
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
    """What selection gains in mAP@all over as many random labels, seed by seed: mean, 95 % interval, seeds.

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
                lines.setdefault(row, {})[bits] = interval(gains).points()
    if not lines:
        return "No two runs are here that differ in nothing but who chose the labels."
    return Table.by_length(lines, (run.bits for run in runs), corner="row").markdown()


def parts(runs: Sequence[TableRun]) -> str:
    """What a term of training or several rounds bring to mAP@all, seed by seed: mean, 95 % interval, seeds.

    Of rows that differ in it alone, the one that has it, minus the other; and what DH-APS as ours, and our
    learner, bring where its letter, and DH-APS, stand beside them.
    """
    lines: Lines = {}

    def add(text: str, bits: int, more: Sequence[TableRun], less: Sequence[TableRun]) -> None:
        with_it, without = last_by_seed(more, "mAP@all"), last_by_seed(less, "mAP@all")
        if gains := [with_it[seed] - without[seed] for seed in with_it if seed in without]:
            lines.setdefault(text, {})[bits] = interval(gains).points()

    ordered = sorted(runs, key=lambda run: (run.share, run.row))
    for part in PARTS:

        def alike(run: TableRun, part: str = part) -> tuple[Any, ...]:
            return run.chosen, run.bits, *(has(run) for name, has in PARTS.items() if name != part)

        for group in grouped(ordered, alike).values():
            sides = grouped(group, PARTS[part])
            if len(sides) == 2:
                (_, less), (_, more) = sorted(sides.items())
                row = min(less[0].row, more[0].row, key=len)  # the other says what it departs in
                add(f"{part} in {row}", more[0].bits, more, less)
    rows = grouped(ordered, lambda run: (run.row, run.bits))
    for text, of in (
        ("ours in place of", lambda row: with_variety(row, "literal")),
        ("our learner in place of", lambda row: row.replace("+ours", "")),
    ):
        for (row, bits), group in rows.items():
            if (other := of(row)) != row and (other, bits) in rows:
                add(f"{text} {other}", bits, group, rows[other, bits])
    if not lines:
        return "No two runs are here that differ in one part alone."
    return Table.by_length(lines, (run.bits for run in runs), corner="part").markdown()


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
