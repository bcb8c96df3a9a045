"""Refusals told in a sentence: what must hold, what was got, what to do; not where it was found."""

from typing import Any

__all__ = ["tell_in_sentences"]


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
