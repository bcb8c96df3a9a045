"""HTML of pictures with captions and coloured frames; styles inside, so that it shows in any viewer."""

from collections.abc import Sequence
from html import escape

from dhaps_core.escaping import one_line

__all__ = ["FRAMES", "PLAIN", "plain_html", "row_of", "tile"]

PLAIN = "mathjax_ignore"  # class of what JupyterLab must not look through for formulas

FRAMES = {
    "right": "#2a8a4a",
    "wrong": "#c0392b",
    "same": "#2a8a4a",
    "different": "#c0392b",
    "open": "#9aa4af",
}
SIDE = 79  # pixels of a picture; eight fit beside each other


def plain_html(text: str) -> str:
    """A name inside an element or a quoted attribute, on one line.

    Example:
        >>> plain_html("a <b> 'c'")
        'a &lt;b&gt; &#x27;c&#x27;'
    """
    return escape(one_line(text))


def tile(
    pictures: Sequence[tuple[str, str]], lines: Sequence[str], *, frame: str = "open", side: int = SIDE
) -> str:
    """One or more pictures in a frame, with lines of text below.

    Args:
        pictures: key and data URI of each; an empty URI shows the key in its place.
        lines: text, cut off where it is too long.
        frame: name of the frame's colour, one of :data:`FRAMES`.
        side: pixels of a picture.
    """
    inside = "".join(_picture(key, uri, side) for key, uri in pictures)
    width = side * len(pictures) + 6 * (len(pictures) - 1)
    text = "".join(
        f'<div title="{plain_html(line)}" style="overflow:hidden;text-overflow:ellipsis;white-space:nowrap">'
        f"{plain_html(line)}</div>"
        for line in lines
    )
    return (
        f'<div style="width:{width}px;padding:4px;border:3px solid {FRAMES[frame]};border-radius:8px">'
        f'<div style="display:flex;gap:6px">{inside}</div>'
        f'<div style="font-size:12px;line-height:1.35;margin-top:3px">{text}</div></div>'
    )


def row_of(tiles: Sequence[str], title: str = "") -> str:
    """Tiles beside each other, as many as fit, under a title."""
    head = f'<div style="font-weight:600;margin:6px 0 4px">{plain_html(title)}</div>' if title else ""
    inside = f'<div style="display:flex;flex-wrap:wrap;gap:8px">{"".join(tiles)}</div>'
    return f'<div class="{PLAIN}">{head}{inside}</div>'


def _picture(key: str, uri: str, side: int) -> str:
    box = f"width:{side}px;height:{side}px;border-radius:4px;"
    if uri:
        return f'<img src="{uri}" alt="{plain_html(key)}" style="{box}object-fit:contain;background:#8881">'
    return (
        f'<div style="{box}display:grid;place-items:center;overflow:hidden;background:#8882;font-size:11px;'
        f'word-break:break-all">{plain_html(key)}</div>'
    )
