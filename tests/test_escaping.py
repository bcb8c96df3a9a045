"""Names stay names in text, Markdown, CSV and LaTeX."""

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from dhaps_core.escaping import csv_cell, latex, markdown, one_line
from dhaps_core.results.tables import Table
from tests.given import NASTY


class Cells(HTMLParser):
    """Texts of the cells of a table, and every tag with its attributes."""

    def __init__(self, html):
        super().__init__()
        self.cells, self.tags = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, [name for name, _ in attributes]))
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells and data.strip():
            self.cells[-1] += data


@pytest.mark.parametrize("name", NASTY)
def test_markdown_shows_a_name_letter_by_letter_and_nothing_else(name):
    html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(
        Table(("a", name), ((name, "1"),)).markdown()
    )
    found = Cells(html)
    assert found.cells == ["a", one_line(name), one_line(name), "1"]
    assert {tag for tag, _ in found.tags} <= {"table", "thead", "tbody", "tr", "th", "td", "span"}
    assert not [names for tag, names in found.tags if tag == "span" and names]


@pytest.mark.parametrize("name", NASTY)
def test_no_formula_of_jupyter_reaches_over_a_name(name):
    # Jupyter looks for these before Markdown is read, then once more between the tags that came of it.
    text = markdown(name)
    assert not re.search(r"\\\\[()\[\]]|(?<!\\)\$|\\begin|\\end", text)
    html = MarkdownIt("commonmark").render(text)
    for run in re.split(r"<[^>]*>", html):
        assert not re.search(r"\$[^$]+\$|\\\(|\\\[", run)


@pytest.mark.parametrize("name", NASTY)
def test_no_spreadsheet_finds_a_formula(name):
    table = Table((name, "value"), ((name, "-1.5"), ("-", "+2e-3"), ("-3", "--")))
    rows = list(csv.reader(io.StringIO(table.csv()), strict=True))
    assert [len(row) for row in rows] == [2] * 4
    for cell in (rows[0][0], rows[1][0]):
        assert cell.replace("'", "") == one_line(name).replace("'", "")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))
        # A spreadsheet that expects another separator takes the cell apart.
        assert not [part for part in cell.split(";") if part.startswith(("=", "+", "-", "@"))]
    assert rows[1][1:] + rows[2] + rows[3] == ["-1.5", "-", "+2e-3", "-3", "--"]


def test_numbers_stay_numbers_and_what_only_begins_like_one_does_not():
    assert [csv_cell(cell) for cell in ("-1.5", "+.5", "-3", "12", "nan")] == [
        "-1.5",
        "+.5",
        "-3",
        "12",
        "nan",
    ]
    assert csv_cell("-13.3 ± 2") == "'-13.3 ± 2"
    assert csv_cell("-2+cmd|' /C calc'!A0").startswith("'")


COMMAND = r"\\(?:[&%_#{}$]|textbackslash\{\}|textasciicircum\{\}|textasciitilde\{\}|textbar\{\})"
MATHS = r"\$(?:<|>|\\pm)\$"


@pytest.mark.parametrize("name", NASTY)
def test_latex_reads_a_name_as_text(name):
    lines = Table((name, "value"), ((name, "1"), ("b", name))).latex().splitlines()
    assert len(lines) == 8
    for line in (lines[2], *lines[4:6]):
        assert line.endswith(r" \\")
        rest = re.sub(rf"{COMMAND}|{MATHS}|\{{[\[\]*]\}}|-\{{\}}", "", line.removesuffix(r" \\"))
        assert re.fullmatch(r"[^\\%_#{}$^~|\[\]*]* & [^&\\%_#{}$^~|\[\]*]*", rest)
        assert "--" not in rest
    assert not lines[4].startswith(("[", "*"))  # behind the \\ of the row before


def test_latex_of_names_worked_by_hand():
    assert latex(r"\ $ ^ ~ | = _") == (
        r"\textbackslash{} \$ \textasciicircum{} \textasciitilde{} \textbar{} = \_"
    )
    assert latex("a--b [c]") == "a-{}-b {[}c{]}"
    assert latex("32.6 ± 0.4 %") == r"32.6 $\pm$ 0.4 \%"


@pytest.mark.parametrize("name", NASTY)
def test_text_keeps_its_lines_and_moves_no_cursor(name):
    lines = Table(("a", name), ((name, "1"),)).text().split("\n")
    assert len(lines) == 2
    assert not re.search(r"[\x00-\x1f\x7f\u2028\u2029\u202e]", "".join(lines))
    "\n".join(lines).encode()  # no half of a surrogate


def test_ordinary_names_are_left_alone():
    for name in ("DH-APS (1 %)", "数字 5", "Čeština", "x < y", "R&D", "a = b", "mAP@all"):
        assert markdown(name) == one_line(name) == csv_cell(name) == name


def test_quotes_of_latex_stay_what_they_are():
    assert latex("a''") == "a'{}'"
    assert latex(",,") == ",{},"
