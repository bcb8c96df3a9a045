"""Kernels that no other user of the machine overhears, for notebooks that papermill runs.

A kernel talks over ports of the loopback address, where everybody on the machine may connect. Nobody can give
it orders without its key, but what it prints goes to whoever asks, unless it is encrypted.
"""

from typing import Any

from jupyter_client.manager import AsyncKernelManager
from papermill.engines import NBClientEngine
from traitlets import default

__all__ = ["PrivateEngine", "PrivateKernel"]


class PrivateKernel(AsyncKernelManager):
    """A kernel that is encrypted, or is not started."""

    @default("transport_encryption")  # type: ignore[untyped-decorator]
    def _encrypt(self) -> str:
        return "required"


class PrivateEngine(NBClientEngine):  # type: ignore[misc]
    """``papermill --engine private``: as usual, in a private kernel."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        """Execute a notebook; see papermill."""
        return super().execute_managed_notebook(
            nb_man, kernel_name, kernel_manager_class=PrivateKernel, **options
        )
