"""Figures on a screen: lines instead of pixels, without a background, in the ink of the theme around them."""

import io
import re
from typing import Any

from matplotlib.figure import Figure

from widgets.figures import figure_png

__all__ = ["Plot", "figure_svg"]

BLACK = "#000000"
LEAST = 560  # CSS pixels that a page of 600 has for a figure


def figure_svg(figure: Figure) -> str:
    """The figure as an SVG element that grows to the width of where it stands, at most to its own.

    What is black in it has the colour of the text around, so that it can be read in a light theme and in a
    dark one; letters are drawn as lines, and no name of the figure is in it as text.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    # A style sheet inside an SVG would be one of the whole page.
    outside = r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>"
    text = re.sub(outside, "", buffer.getvalue(), flags=re.DOTALL)
    text = text[text.index("<svg") :].replace(BLACK, "currentColor")
    width = figure.get_size_inches()[0]
    look = f"width:100%;max-width:{96 * width:.0f}px;height:auto;stroke-linejoin:round;stroke-linecap:butt"
    head = f'<svg role="img" fill="currentColor" style="{look}"'
    return re.sub(r'^<svg (.*?)(?:width|height)="[^"]*"(.*?)(?:width|height)="[^"]*"', rf"{head} \1\2", text)


class Plot:
    """A figure as notebooks display it: drawn in lines; as PNG where a viewer takes pictures alone.

    It shrinks with the page to where it can still be read, and is scrolled from there on.

    Args:
        figure: what to show.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        least = min(LEAST, 0.6 * 96 * self.figure.get_size_inches()[0])
        drawn = f'<div style="min-width:{least:.0f}px">{figure_svg(self.figure)}</div>'
        html = f'<div style="overflow-x:auto">{drawn}</div>'
        return {"text/html": html, "image/png": figure_png(self.figure)}
