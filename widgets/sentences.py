"""Refusals told in a sentence: what must hold, what was got, what to do; not where it was found."""

from typing import Any

__all__ = ["tell_in_sentences"]


def tell_in_sentences(shell: Any) -> None:
    """Have a notebook show refusals (ValueError, OSError) without the way through the code.

    A cell that is refused has failed as before, headless too; ``%tb`` shows the way.

    Args:
        shell: what ``get_ipython()`` gives.
    """

    def told(_: Any, kind: type[BaseException], error: BaseException, __: Any, **options: Any) -> list[str]:
        return [f"{kind.__name__}: {error}"]

    shell.set_custom_exc((ValueError, OSError), told)
