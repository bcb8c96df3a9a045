"""What all cards share: module and style, put together as they are loaded, and what shows without widgets."""

from html import escape
from pathlib import Path
from typing import Any

from dhaps_core.escaping import one_line

__all__ = ["PLAIN", "plain_html", "script", "style", "with_summary"]

PLAIN = "mathjax_ignore"  # class of what JupyterLab must not look through for formulas


def script(card: str, *parts: str) -> str:
    """JavaScript module of a card: shared functions, parts of its own, the file beside its Python file.

    Args:
        card: the card's Python file.
        parts: files beside it or in another room (``../labeller/classes``), without their suffix.
    """
    beside = [(Path(card).parent / f"{part}.js").read_text(encoding="utf-8") for part in parts]
    return _read(__file__, ".js") + KEYBOARD + "".join(beside) + _read(card, ".js")


def style(card: str) -> str:
    """Style sheet of a card: the shared rules, then those beside the card's own Python file."""
    return _read(__file__, ".css") + _read(card, ".css")


def plain_html(text: str) -> str:
    """A name inside an element or a quoted attribute, on one line.

    Example:
        >>> plain_html("a <b> 'c'")
        'a &lt;b&gt; &#x27;c&#x27;'
    """
    return escape(one_line(text))


def with_summary(bundle: Any, html: str) -> Any:
    """What a widget displays, and plain HTML for viewers that cannot show widgets (or have lost the kernel).

    Args:
        bundle: of the widget's own ``_repr_mimebundle_``: data, or data and metadata.
        html: what the card would tell, without scripts; how to go on is added.
    """
    data, *metadata = bundle if isinstance(bundle, tuple) else (bundle,)
    resume = (
        "<p>This card is alive in JupyterLab. Everything is saved in the run folder: to go on, open the "
        "notebook there (<code>make lab</code>) and run its cells again.</p>"
    )
    data = {**(data or {}), "text/html": f'<div class="{PLAIN}">{html}{resume}</div>'}
    return (data, *metadata) if metadata else data


def _read(card: str, suffix: str) -> str:
    return Path(card).with_suffix(suffix).read_text(encoding="utf-8")


KEYBOARD = Path(__file__).with_name("keyboard.js").read_text(encoding="utf-8")
