"""HTML of pictures with captions and coloured frames; styles inside, so that it shows in any viewer."""

import base64
from collections.abc import Sequence

from widgets.card import PLAIN, plain_html

__all__ = ["FRAMES", "row_of", "tile"]

FRAMES = {
    "right": "#2a8a4a",
    "wrong": "#c0392b",
    "same": "#2a8a4a",
    "different": "#c0392b",
    "open": "#9aa4af",
}
SIDE = 79  # pixels of a picture; eight fit beside each other


def tile(pictures: Sequence[tuple[str, bytes]], lines: Sequence[str], *, frame: str = "open") -> str:
    """One or more pictures in a frame, with lines of text below.

    Args:
        pictures: name and PNG or JPEG file of each; where that is empty, the name stands in its place.
        lines: text, cut off where it is too long.
        frame: name of the frame's colour, one of :data:`FRAMES`.
    """
    inside = "".join(_picture(name, file) for name, file in pictures)
    width = SIDE * len(pictures) + 6 * (len(pictures) - 1)
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


def _picture(name: str, file: bytes) -> str:
    box = f"width:{SIDE}px;height:{SIDE}px;border-radius:4px;"
    if file:
        kind = "png" if file[:4] == b"\x89PNG" else "jpeg"
        uri = f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
        return f'<img src="{uri}" alt="{plain_html(name)}" style="{box}object-fit:contain;background:#8881">'
    return (
        f'<div style="{box}display:grid;place-items:center;overflow:hidden;background:#8882;font-size:11px;'
        f'word-break:break-all">{plain_html(name)}</div>'
    )
