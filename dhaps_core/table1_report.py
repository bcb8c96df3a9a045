"""Measured rows of Table 1 as Markdown: values beside the paper's, the claimed order, selection, seconds."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from dhaps_core.paper import BITS, ROWS, Claim, claims
from dhaps_core.table1 import Cell, Run, gather
from dhaps_core.tables import Table

__all__ = ["check_claims", "markdown", "order", "report", "seconds", "selection"]


def check_claims(cells: Mapping[tuple[str, int], Cell], bits: int) -> list[Claim]:
    """The paper's order, checked on the means of one code length."""
    return claims({row: cell.mean for (row, length), cell in cells.items() if length == bits})


def report(runs: Sequence[Run], *, bits: Sequence[int] = BITS) -> str:
    """All that follows, one below the other; mAP@all in %.

    Args:
        runs: of one kind, at least one.
        bits: code lengths.
    """
    cells = gather(runs)
    parts = {
        "mAP@all in %: mean ± standard deviation (seeds)": markdown(cells, runs[0].stands_for, bits=bits),
        "The paper's order, in points": order(cells, bits=bits),
        "Selected minus random labels, in points": selection(runs, bits=bits),
        "Seconds per run": seconds(runs, bits=bits),
    }
    return (
        "\n\n".join(
            [f"Runs of {runs[0].kind}.", *(f"## {title}\n\n{table}" for title, table in parts.items())]
        )
        + "\n"
    )


def markdown(cells: Mapping[tuple[str, int], Cell], stands_for: str, *, bits: Sequence[int] = BITS) -> str:
    """Each row and code length as measured here, then as printed in the paper; mAP in %.

    Args:
        cells: from :func:`dhaps_core.table1.gather`, of one data set.
        stands_for: the paper's data set in the columns beside.
        bits: code lengths.
    """
    printed = {row.name: dict(zip(BITS, row.values[stands_for], strict=True)) for row in ROWS}
    lines = {}
    for name in _all_rows(row for row, _ in cells):
        ours = [cells[name, b].percent() if (name, b) in cells else "not measured" for b in bits]
        theirs = [printed.get(name, {}).get(b) for b in bits]
        lines[name] = [*ours, *("-" if value is None else f"{value:.1f}" for value in theirs)]
    return _table("row", [*(f"{b} bits, here" for b in bits), *(f"{b}, paper" for b in bits)], lines)


def order(cells: Mapping[tuple[str, int], Cell], *, bits: Sequence[int] = BITS) -> str:
    """By how many points each claim of the paper holds or fails, for each code length."""
    checked = zip(*(check_claims(cells, b) for b in bits), strict=True)
    return _table(
        "claim", _lengths(bits), {row[0].text: [_verdict(claim) for claim in row] for row in checked}
    )


def selection(runs: Sequence[Run], *, bits: Sequence[int] = BITS, metric: str = "mAP@all") -> str:
    """What selection gains over random labels of the same number, seed by seed: mean ± deviation (seeds)."""
    values = {
        (run.about["acquisition"], run.about["budget"], run.bits, run.seed): float(run.last[metric])
        for run in runs
        if run.about["method"] == "dpsh"
    }
    seeds = sorted({seed for *_, seed in values})
    lines = {}
    for budget in dict.fromkeys(budget for kind, budget, *_ in values if kind == "random"):
        gains = [
            {
                seed: values["dhaps", budget, b, seed] - values["random", budget, b, seed]
                for seed in seeds
                if {("dhaps", budget, b, seed), ("random", budget, b, seed)} <= values.keys()
            }
            for b in bits
        ]
        lines[f"{budget} of the items"] = [
            Cell.of(found).percent("+") if found else "not measured" for found in gains
        ]
    if not lines:
        return "No run with random labels is here to compare with."
    return _table("labelled", _lengths(bits), lines)


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
    return _table("row", _lengths(bits), lines)


def _all_rows(measured: Iterable[str]) -> list[str]:
    """The paper's rows in its order, then others."""
    names = [row.name for row in ROWS]
    return names + sorted(set(measured) - set(names))


def _verdict(claim: Claim) -> str:
    if claim.gap is None:
        return "not measured"
    return f"{100 * claim.gap:+.1f}" if claim.holds else f"**{100 * claim.gap:+.1f}: does not hold**"


def _lengths(bits: Sequence[int]) -> list[str]:
    return [f"{b} bits" for b in bits]


def _table(corner: str, heads: Sequence[str], lines: Mapping[str, Sequence[str]]) -> str:
    rows = tuple((name, *cells) for name, cells in lines.items())
    return Table((corner, *heads), rows).markdown()
