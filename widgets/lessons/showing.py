"""Figures of lessons as drawings inside the page: sharp at any size, in the ink of any theme, and sliders.

A figure is SVG whose black is the colour of the text around it, on no ground of its own: so it shows in a
light and in a dark theme, and prints. It shrinks with the page, down to a width at which it can be read.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import ipywidgets
import matplotlib as mpl
from matplotlib.figure import Figure

from widgets.card import PLAIN

__all__ = ["INK", "Markup", "explore", "show"]

Draw = Callable[..., Figure]

INK = "#010203"  # no figure's own colour: it becomes that of the text
INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
STYLE: Any = {
    **dict.fromkeys(INKED, INK),
    "axes.titlesize": "medium",
    "legend.frameon": False,
    "image.interpolation": "none",  # pixels stay squares
    "svg.hashsalt": "dhaps",  # the same drawing has the same names inside
}


@dataclass(frozen=True)
class Markup:
    """HTML that a notebook shows as such."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def show(draw: Draw, *given: Any, **settings: Any) -> Markup:
    """The figure that a function draws of what it is given; its docstring says what is seen."""
    file = io.StringIO()
    with mpl.rc_context(STYLE):
        figure = draw(*given, **settings)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    _, tag, rest = file.getvalue().partition("<svg")
    told = escape((draw.__doc__ or "").partition("\n")[0])
    return Markup(
        f'<div class="{PLAIN} dhaps-drawing" role="img" aria-label="{told}" '
        'style="color:var(--jp-content-font-color0, CanvasText);overflow-x:auto">'
        f'{tag} style="max-width:max(100%,560px);height:auto"{rest.replace(INK, "currentColor")}</div>'
    )


def explore(
    draw: Draw,
    *given: Any,
    interactive: bool,
    stills: Sequence[Mapping[str, Any]],
    **choices: Sequence[Any],
) -> Any:
    """The figure with a slider for each setting; without a screen, the figure at some settings.

    Args:
        draw: the figure, of what is given and of the settings by name.
        given: what it is about.
        interactive: whether there is somebody to move a slider.
        stills: settings to draw, and to name, where there is nobody; the first is where the sliders start.
        choices: values of each setting, in the order of its slider.

    Returns:
        What a cell displays.

    Raises:
        ValueError: if a still is not made of the choices.
    """
    fits = [one.keys() == choices.keys() and all(one[k] in choices[k] for k in one) for one in stills]
    if not fits or not all(fits):
        rule = "stills must give every setting one of its choices, once at least"
        raise ValueError(f"{rule}; got {stills} for the choices {choices}. Mend the stills.")
    if not interactive:
        return Markup("".join(_told(still) + show(draw, *given, **still).html for still in stills))
    sliders = {
        name: ipywidgets.SelectionSlider(
            options=[(str(value), value) for value in values],  # a pair by itself would be a name and a value
            value=stills[0][name],
            description=name.replace("_", " "),
            continuous_update=False,  # a figure takes a moment
            style={"description_width": "40%"},
            layout={"width": "min(520px, 98%)"},
        )
        for name, values in choices.items()
    }
    seen = ipywidgets.HTML(show(draw, *given, **stills[0]).html)

    def redraw(_: object) -> None:
        seen.value = show(draw, *given, **{name: slider.value for name, slider in sliders.items()}).html

    for slider in sliders.values():
        slider.observe(redraw, "value")
    return ipywidgets.VBox([*sliders.values(), seen])


def _told(still: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in still.items())
    return f'<p class="{PLAIN}"><em>{escape(settings)}</em></p>'
