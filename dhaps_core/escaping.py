"""Names as themselves: what a class, a key or a run is called is text, whatever file it is written into.

A name comes from a folder, a list file or a person. In a terminal, a table or a paper it must show what it
is, and do nothing.
"""

import re
import unicodedata

__all__ = ["csv_cell", "guarded", "latex", "markdown", "one_line", "unguarded"]

_TURNS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NOT_SHOWN = ("Cc", "Cs", "Co", "Cn")  # control characters, halves of surrogates, no characters at all
# What a spreadsheet reads as a formula (some the wide forms too), at the start or where another separator
# takes the cell apart; behind any number of apostrophes, so that one more can be taken off again.
_START, _FORMULA = r"(?:^|(?<=[,;\t\r\n]))", r"(?='*\s*[=+\-@\t\r\n＝＋－＠])"
_BARE, _GUARDED = re.compile(_START + _FORMULA), re.compile(f"{_START}'{_FORMULA}")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_LATEX = {
    **{character: f"\\{character}" for character in "&%_#{}$"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "|": r"\textbar{}",  # a dash in the usual encoding
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    # After the end of a row these would belong to its \\.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}


def one_line(text: str) -> str:
    r"""Text without line breaks, and without characters that move, hide or turn what stands beside them.

    White space of any kind becomes a space, the others the replacement character.

    Example:
        >>> one_line("cat\n dog\x1b[2J")
        'cat dog\ufffd[2J'
    """
    words = " ".join(text.split())
    return "".join(
        "\ufffd" if character in _TURNS or unicodedata.category(character) in _NOT_SHOWN else character
        for character in words
    )


def markdown(text: str) -> str:
    r"""Text for a cell or a line of Markdown as GitHub and Jupyter read it.

    Both look for mathematics after Markdown is done, when ``\$`` is ``$`` again; but not across tags.

    Example:
        >>> print(markdown("a|b *c* <i> $"))
        a\|b \*c\* \<i> <span>\$</span>
    """
    # A bare < or & is itself: only what could be a tag or an entity is kept from being one.
    escaped = re.sub(r"[\\$|`*_\[\]~]|<(?=[A-Za-z/!?])|&(?=#?\w+;)", r"\\\g<0>", one_line(text))
    return re.sub(r"\\[\\$]", r"<span>\g<0></span>", escaped)


def guarded(text: str) -> str:
    r"""Text with an apostrophe where a spreadsheet would take it for a formula; :func:`unguarded` undoes it.

    Example:
        >>> guarded("=HYPERLINK(1)"), guarded("a;=1"), unguarded(guarded("'=1"))
        ("'=HYPERLINK(1)", "a;'=1", "'=1")
    """
    return _BARE.sub("'", text)


def unguarded(text: str) -> str:
    """Text as it was before :func:`guarded`."""
    return _GUARDED.sub("", text)


def csv_cell(text: str) -> str:
    r"""Text for a cell of a CSV table: guarded, but numbers stay numbers, and a dash stays one.

    Example:
        >>> csv_cell("=1"), csv_cell("-1.5"), csv_cell("-")
        ("'=1", '-1.5', '-')
    """
    return text if _NUMBER.fullmatch(text) or not text.strip("-") else guarded(text)


def latex(text: str) -> str:
    r"""Text for a cell or a line of LaTeX.

    Example:
        >>> print(latex("50 % of a_b, $x$"))
        50 \% of a\_b, \$x\$
    """
    escaped = "".join(_LATEX.get(character, character) for character in one_line(text))
    return re.sub(r"([-',])(?=\1)", r"\1{}", escaped)  # two of them would be one long dash, or a quote
