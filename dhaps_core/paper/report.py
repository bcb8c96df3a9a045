"""Measured rows of Table 1 as Markdown: values beside the paper's, the claimed order, selection, seconds."""

from collections.abc import Iterable, Mapping, Sequence
from math import hypot
from statistics import median

from dhaps_core import escaping
from dhaps_core.paper.measured import Cell, Run, gather
from dhaps_core.paper.table import BITS, ROWS, Claim, claims
from dhaps_core.results.tables import Marked, Table

__all__ = ["check_claims", "lengths", "markdown", "order", "report", "seconds", "selection", "verdict"]


def check_claims(cells: Mapping[tuple[str, int], Cell], bits: int) -> list[Claim]:
    """The paper's order, checked on the means of one code length."""
    return claims({row: cell.mean for (row, length), cell in cells.items() if length == bits})


def lengths(runs: Sequence[Run]) -> list[int]:
    """Code lengths of some runs, ascending."""
    return sorted({run.bits for run in runs})


def report(runs: Sequence[Run]) -> str:
    """All that follows, one below the other; mAP@all in %.

    Args:
        runs: of one kind, at least one.
    """
    cells, bits = gather(runs), lengths(runs)
    parts = {
        "mAP@all in %: mean ± standard deviation (seeds)": markdown(cells, runs[0].stands_for, bits=bits),
        "The paper's order, in points": order(cells, bits=bits),
        "Selected minus random labels, in points": selection(runs, bits=bits),
        "Seconds per run": seconds(runs, bits=bits),
    }
    sections = [f"## {title}\n\n{table}" for title, table in parts.items()]
    return "\n\n".join([f"Runs of {escaping.markdown(runs[0].kind)}.", *sections]) + "\n"


def markdown(cells: Mapping[tuple[str, int], Cell], stands_for: str, *, bits: Sequence[int] = BITS) -> str:
    """Each row and code length as measured here, then as printed in the paper; mAP in %.

    Args:
        cells: from :func:`dhaps_core.paper.measured.gather`, of one data set.
        stands_for: the paper's data set in the columns beside, where it has that length; or nothing.
        bits: code lengths.
    """
    beside = [b for b in bits if stands_for and b in BITS]
    printed = {row.name: dict(zip(BITS, row.values[stands_for], strict=True)) for row in ROWS if stands_for}
    lines = {}
    for name in _all_rows(row for row, _ in cells):
        ours = [cells[name, b].percent() if (name, b) in cells else "not measured" for b in bits]
        theirs = [printed.get(name, {}).get(b) for b in beside]
        lines[name] = [*ours, *("-" if value is None else f"{value:.1f}" for value in theirs)]
    return _table("row", [*(f"{b} bits, here" for b in bits), *(f"{b}, paper" for b in beside)], lines)


def order(cells: Mapping[tuple[str, int], Cell], *, bits: Sequence[int] = BITS) -> str:
    """By how many points each claim of the paper holds or fails, for each code length.

    A gap is that of the two rows between which it is least, with the standard deviation of their difference,
    or with (1 seed) where one of them has no other.
    """
    lines: dict[str, list[str]] = {}
    for b in bits:
        for claim in check_claims(cells, b):
            lines.setdefault(claim.text, []).append(verdict(claim, cells, b))
    return _table("claim", _heads(bits), lines)


def verdict(claim: Claim, cells: Mapping[tuple[str, int], Cell], bits: int) -> str:
    """A claim in words, at one code length.

    Example:
        >>> cells = {("PTS3H", 32): Cell(0.63, 0.01, (0, 1)), ("DH-APS+PTS3H", 32): Cell(0.64, 0.02, (0, 1))}
        >>> verdict(check_claims(cells, 32)[-1], cells, 32)
        '+1.0 ± 2.2: within the spread'
    """
    if claim.gap is None or claim.rows is None:
        return "not measured"
    spreads = [spread for row in claim.rows if (spread := cells[row, bits].spread) is not None]
    gap = f"{100 * claim.gap:+.1f}"
    if len(spreads) < 2:
        return f"{gap} (1 seed)" if claim.holds else Marked(f"**{gap} (1 seed): does not hold**")
    spread = hypot(*spreads)
    gap += f" ± {100 * spread:.1f}"
    if abs(claim.gap) < spread:
        return f"{gap}: within the spread"
    return gap if claim.holds else Marked(f"**{gap}: does not hold**")


def selection(runs: Sequence[Run], *, bits: Sequence[int] = BITS, metric: str = "mAP@all") -> str:
    """What selection gains over random labels of the same number, seed by seed: mean ± deviation (seeds)."""
    values: dict[tuple[str, float, str], dict[str, dict[tuple[int, int], float]]] = {}
    for run in runs:
        about = run.about
        key = about["method"], float(about["share"]), about["budget"]
        values.setdefault(key, {}).setdefault(about["acquisition"], {})[run.bits, run.seed] = float(
            run.last[metric]
        )
    lines = {}
    for (method, _, budget), found in sorted(values.items()):
        ours, theirs = (found.get(acquisition, {}) for acquisition in ("dhaps", "random"))
        both = sorted(ours.keys() & theirs.keys())
        gains = [{s: ours[b, s] - theirs[b, s] for length, s in both if length == b} for b in bits]
        if any(gains):
            lines[f"{method}, {budget}"] = [Cell.of(g).percent("+") if g else "not measured" for g in gains]
    if not lines:
        return "No two runs are here that differ in nothing but who chose the labels."
    return _table("method and budget", _heads(bits), lines)


def seconds(runs: Sequence[Run], *, bits: Sequence[int] = BITS) -> str:
    """Median seconds of a run: training, selection and evaluation of all its rounds together."""
    times: dict[str, dict[int, list[float]]] = {}
    for run in runs:
        times.setdefault(run.row, {}).setdefault(run.bits, []).append(float(run.about["seconds"]))
    lines = {
        row: [f"{median(times[row][b]):.0f}" if b in times[row] else "-" for b in bits]
        for row in _all_rows(times)
        if row in times
    }
    return _table("row", _heads(bits), lines)


def _all_rows(measured: Iterable[str]) -> list[str]:
    """The paper's rows in its order, then others."""
    names = [row.name for row in ROWS]
    return names + sorted(set(measured) - set(names))


def _heads(bits: Sequence[int]) -> list[str]:
    return [f"{b} bits" for b in bits]


def _table(corner: str, heads: Sequence[str], lines: Mapping[str, Sequence[str]]) -> str:
    rows = tuple((name, *cells) for name, cells in lines.items())
    return Table((corner, *heads), rows).markdown()
