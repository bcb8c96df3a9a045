"""Refusals told in a sentence: what must hold, what was got, what to do; not where it was found."""

from collections.abc import Callable, Mapping
from typing import Any

from dhaps_core.answers.answer import StoreError

__all__ = ["REFUSALS", "shown_or_told", "tell_in_sentences"]

REFUSALS = (ValueError, RuntimeError, StoreError, OSError)
"""What a run says of itself, of who else is at it, and of its disk."""


def shown_or_told(view: Callable[[], dict[str, Any]], before: Mapping[str, Any]) -> dict[str, Any]:
    """What a card shows; where its run cannot be read now, what it showed before, and why as its note."""
    try:
        return view()
    except REFUSALS as error:
        return {**before, "note": str(error)}


def tell_in_sentences(shell: Any) -> None:
    """Have a notebook show refusals (ValueError, OSError) without the way through the code.

    A cell that is refused has failed as before, headless too; ``%tb`` shows the way.

    Args:
        shell: what ``get_ipython()`` gives.
    """

    def told(shell: Any, kind: type[BaseException], error: Any, trace: Any, **options: Any) -> None:
        error._render_traceback_ = lambda: [f"{kind.__name__}: {error}"]  # what IPython asks for
        shell.showtraceback((kind, error, trace), **options)

    shell.set_custom_exc((ValueError, OSError), told)
