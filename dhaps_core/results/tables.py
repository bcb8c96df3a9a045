"""Tables of results as text, Markdown, CSV and LaTeX, from one list of cells."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dhaps_core.escaping import csv_cell, latex, markdown, one_line
from dhaps_core.results.compare import Difference, Interval, Run, last_by_seed, named_groups

__all__ = ["Marked", "Table", "curve_table", "difference_table", "length_table"]


class Marked(str):
    """A cell that is Markdown already, such as a bold one."""


@dataclass(frozen=True)
class Table:
    r"""A header and rows of as many cells; what they hold is text, and stays text in every format.

    Example:
        >>> table = Table(("method", "12 bits"), (("DH-APS 1 %", "32.6 ± 0.4"),))
        >>> print(table.text())
        method         12 bits
        DH-APS 1 %  32.6 ± 0.4
        >>> table.csv()
        'method,12 bits\nDH-APS 1 %,32.6 ± 0.4\n'
        >>> print(table.latex().splitlines()[-3])
        DH-APS 1 \% & 32.6 $\pm$ 0.4 \\
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Aligned columns, the first to the left."""
        lines = [list(map(one_line, line)) for line in (self.header, *self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.header))]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        """Cells between bars."""
        lines = (self.header, (Marked("---"),) * len(self.header), *self.rows)
        return "\n".join("| " + " | ".join(map(_marked, line)) + " |" for line in lines)

    def csv(self) -> str:
        """Comma-separated values with a header."""
        buffer = io.StringIO()
        lines = ([csv_cell(one_line(cell)) for cell in line] for line in (self.header, *self.rows))
        csv.writer(buffer, lineterminator="\n").writerows(lines)
        return buffer.getvalue()

    def latex(self) -> str:
        """A tabular of the package booktabs."""
        body = [" & ".join(map(latex, row)) + r" \\" for row in self.rows]
        head = " & ".join(map(latex, self.header)) + r" \\"
        columns = "l" + "r" * (len(self.header) - 1)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _marked(cell: str) -> str:
    return cell if isinstance(cell, Marked) else markdown(cell)


def length_table(runs: Iterable[Run], metric: str = "mAP@all") -> Table:
    """Table 1's layout: a row for each setting, a column for each code length.

    Each cell is the last round's mean ± standard deviation over the seeds, in %, and the last column says how
    many seeds; a length that was not run is a dash.

    Raises:
        ValueError: if a run does not say its code length, or lacks the metric; or two have one seed.
    """
    runs = list(runs)
    for run in runs:
        if type(run.facts.get("bits")) is not int or metric not in run.rounds[-1]:
            raise ValueError(
                f"runs must have bits and {metric}; {run.name} has not. Give another folder or metric."
            )
    lengths = sorted({run.facts["bits"] for run in runs})
    rows = []
    for name, group in named_groups(runs, without=("bits",)).items():
        cells, counts = [], set()
        for bits in lengths:
            some = [run for run in group if run.facts["bits"] == bits]
            values = [100 * value for value in last_by_seed(some, metric).values()]
            cells.append(_spread(values))
            counts |= {len(values)} - {0}
        rows.append((name, *cells, "-".join(map(str, sorted({min(counts), max(counts)})))))
    return Table(("", *(f"{bits} bits" for bits in lengths), "seeds"), tuple(rows))


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.1f}"
    deviation = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.1f} ± {deviation:.1f}"


def curve_table(curves: Mapping[str, Mapping[int, Interval]]) -> Table:
    """Learning curves: one row for each group and budget, for plotting elsewhere."""
    rows = [
        (name, str(budget), *_numbers(found))
        for name, points in curves.items()
        for budget, found in points.items()
    ]
    return Table(("runs", "budget", "mean", "low", "high", "seeds"), tuple(rows))


def difference_table(differences: Mapping[str, Sequence[Difference]]) -> Table:
    """Paired differences to the baseline, with what may be said of each."""
    rows = [
        (name, str(one.budget), *_numbers(one.interval), one.verdict)
        for name, points in differences.items()
        for one in points
    ]
    return Table(("runs", "budget", "difference", "low", "high", "seeds", "verdict"), tuple(rows))


def _numbers(found: Interval) -> tuple[str, ...]:
    ends = ("-", "-") if found.n < 2 else (f"{found.low:.4f}", f"{found.high:.4f}")
    return f"{found.mean:.4f}", *ends, str(found.n)
