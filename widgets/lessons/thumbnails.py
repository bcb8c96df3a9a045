"""Pictures of items inside a figure, framed in the colour of their class."""

from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from widgets.lessons.material import Material

__all__ = ["BAD", "CLASS_COLOURS", "GOOD", "MAIN", "OTHER", "clear", "colour_of", "thumbnail"]

CLASS_COLOURS = (
    "#2b7fc0",
    "#c8553d",
    "#5b8c5a",
    "#8e6c8a",
    "#d99a2b",
    "#3aa6a6",
)  # told apart in both themes
MAIN, OTHER, GOOD, BAD = "#2b7fc0", "#8c8c8c", "#2a8a4a", "#d1493b"


def colour_of(material: Material, item: int) -> str:
    """Colour of an item's class: the first class of the lesson has the first colour."""
    classes = np.unique(material.labels)
    return CLASS_COLOURS[int(np.searchsorted(classes, material.labels[item])) % len(CLASS_COLOURS)]


def thumbnail(
    axes: Any, picture: np.ndarray, at: tuple[float, float], *, side: float, colour: str, label: str = ""
) -> None:
    """A picture [h w] or [h w 3] centred at a place, of so many units a side, and a label below it."""
    x, y = at
    half = side / 2
    # Colours of their own: an image with a colour map would bring a scale to the axes.
    ground, ink = np.array(to_rgba("#ffffff")), np.array(to_rgba("#111111"))
    axes.imshow(
        ground + picture[..., None] * (ink - ground),
        extent=(x - half, x + half, y - half, y + half),
        zorder=3,
        aspect=axes.get_aspect(),
    )
    axes.add_patch(Rectangle((x - half, y - half), side, side, fill=False, ec=colour, lw=1.8, zorder=4))
    if label:
        axes.annotate(
            label, (x, y - half), (0, -2), textcoords="offset points", ha="center", va="top", fontsize=8
        )


def clear(axes: Any, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Limits of axes on which only things are drawn, and no scale."""
    axes.grid(visible=False)
    axes.set(xlim=x, ylim=y, xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)
