"""Lecture mode: big type and no code, by a box to tick that needs neither kernel nor script.

It is plain HTML with a style sheet, so that it works in JupyterLab, in the page that nbconvert makes, and
with the kernel gone; the style sheet holds for the notebook that the box is in.
"""

from pathlib import Path

from widgets.lessons.showing import Markup

__all__ = ["lecture_switch"]


def lecture_switch(on: bool) -> Markup:
    """The box to tick.

    Args:
        on: whether it is ticked at first.
    """
    style = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
    box = f'<input type="checkbox"{" checked" if on else ""}>'
    words = "Lecture mode: big type, no code"
    return Markup(f'<style>{style}</style><label class="dhaps-lecture">{box} {words}</label>')
