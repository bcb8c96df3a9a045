"""Kernels that no other user of the machine overhears, for notebooks that papermill runs.

A kernel talks over ports of the loopback address, where everybody on the machine may connect. Nobody can give
it orders without its key, but what it prints goes to whoever asks, unless it is encrypted.

Papermill imports this module while it is itself half imported, to have the engine. So it is asked for what it
does only when a notebook runs.
"""

from typing import Any

from jupyter_client.manager import AsyncKernelManager
from traitlets import default

__all__ = ["PrivateEngine", "PrivateKernel"]


class PrivateKernel(AsyncKernelManager):
    """A kernel that is encrypted, or is not started."""

    @default("transport_encryption")  # type: ignore[untyped-decorator]
    def _encrypt(self) -> str:
        return "required"


class PrivateEngine:
    """``papermill --engine private``: as usual, in a private kernel; see papermill for the methods."""

    @staticmethod
    def execute_notebook(nb: Any, kernel_name: str, **options: Any) -> Any:
        """Execute a notebook."""
        from papermill.engines import NBClientEngine

        return NBClientEngine.execute_notebook(nb, kernel_name, kernel_manager_class=PrivateKernel, **options)

    @staticmethod
    def nb_kernel_name(nb: Any, name: str | None = None) -> Any:
        """Name of a notebook's kernel."""
        from papermill.utils import nb_kernel_name

        return nb_kernel_name(nb, name)

    @staticmethod
    def nb_language(nb: Any, language: str | None = None) -> Any:
        """Language of a notebook."""
        from papermill.utils import nb_language

        return nb_language(nb, language)
