"""Tables of results as text, Markdown, CSV and LaTeX, from one list of cells."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from dhaps_core.escaping import csv_cell, latex, markdown, one_line
from dhaps_core.results.compare import Difference, Interval, grouped, interval, last_by_seed, named_groups
from dhaps_core.results.runs import Run

__all__ = ["Marked", "Table", "count_range", "curve_table", "difference_table", "length_table", "round_table"]

_COLUMNS = {
    "round": "round",
    "items": "items_labelled",
    "answers": "answers",
    "mAP": "mAP@all",
    "P@100": "P@100",
}


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
        >>> print(table.latex().splitlines()[4])
         DH-APS 1 \% & 32.6 $\pm$ 0.4 \\
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def by_length(
        cls,
        lines: Mapping[str, Mapping[int, str]],
        lengths: Iterable[int],
        *,
        corner: str,
        unit: str = " bits",
        missing: str = "not measured",
    ) -> "Table":
        """Lines as rows, and a column for each code length; what a line has not is missing."""
        bits = sorted(set(lengths))
        rows = tuple((name, *(cells.get(b, missing) for b in bits)) for name, cells in lines.items())
        return cls((corner, *(f"{b}{unit}" for b in bits)), rows)

    def beside(self, other: "Table") -> "Table":
        """This table with the columns of another one of the same lines, but for its first."""
        rows = tuple((*ours, *theirs[1:]) for ours, theirs in zip(self.rows, other.rows, strict=True))
        return Table((*self.header, *other.header[1:]), rows)

    def text(self) -> str:
        """Aligned columns, the first to the left."""
        return self._aligned("plain", one_line)

    def markdown(self) -> str:
        """Cells between bars."""
        return self._aligned("pipe", lambda cell: cell if isinstance(cell, Marked) else markdown(cell))

    def latex(self) -> str:
        """A tabular of the package booktabs."""
        text = self._aligned("latex_raw", latex)
        for rule in ("toprule", "midrule", "bottomrule"):
            text = text.replace(r"\hline", f"\\{rule}", 1)
        return f"{text}\n"

    def csv(self) -> str:
        """Comma-separated values with a header."""
        buffer = io.StringIO()
        lines = ([csv_cell(one_line(cell)) for cell in line] for line in (self.header, *self.rows))
        csv.writer(buffer, lineterminator="\n").writerows(lines)
        return buffer.getvalue()

    def _aligned(self, layout: str, escape: Callable[[str], str]) -> str:
        header, *rows = [[escape(cell) for cell in line] for line in (self.header, *self.rows)]
        sides = ["left", *["right"] * (len(header) - 1)]
        text: str = tabulate(rows, header, tablefmt=layout, colalign=sides, disable_numparse=True)
        return text


def round_table(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """One line for each run and round, as text; a metric that a run does not have is a dash."""
    cells = [(name, *(row.get(key) for key in _COLUMNS.values())) for name in runs for row in runs[name]]
    rows = tuple(tuple(_plain(cell) for cell in line) for line in cells)
    return Table(("run", *_COLUMNS), rows).text()


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)


def length_table(runs: Sequence[Run], metric: str = "mAP@all") -> Table:
    """Table 1's layout: a row for each setting with its labelled items, a column for each code length.

    Each cell is the last round's mean ± standard deviation over the seeds, in %, and how many seeds.

    Raises:
        ValueError: if a run does not say its code length, or has no finite number there; or two have one
            seed.
    """
    for run in runs:
        if type(run.facts.get("bits")) is not int or metric not in run.last:
            rule = f"runs must have bits and {metric}; {run.name} has not"
            raise ValueError(f"{rule}. Give another folder or metric.")
    groups = named_groups(runs, without=("bits",))
    lines = {
        name: {
            bits: interval(last_by_seed(some, metric).values()).percent()
            for bits, some in grouped(group, lambda run: run.facts["bits"]).items()
        }
        for name, group in groups.items()
    }
    labels = tuple((name, count_range(run.labels for run in group)) for name, group in groups.items())
    lengths = Table.by_length(lines, (run.facts["bits"] for run in runs), corner="")
    return Table(("", "labels"), labels).beside(lengths)


def count_range(counts: Iterable[int | None]) -> str:
    """Counts of runs of one row, which mostly are one number; a dash where none is known.

    Example:
        >>> count_range([5000, 5000]), count_range([480, 500]), count_range([None])
        ('5,000', '480-500', '-')
    """
    known = {count for count in counts if count is not None}
    return "-".join(f"{count:,}" for count in sorted({min(known), max(known)})) if known else "-"


def curve_table(curves: Mapping[str, Mapping[int, Interval]]) -> Table:
    """Learning curves: one row for each group and budget, for plotting elsewhere."""
    rows = [(name, str(one), *_numbers(curves[name][one])) for name in curves for one in curves[name]]
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
