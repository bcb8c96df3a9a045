"""The optional packages of sweeps, imported where they are needed or named where they lack."""

import importlib
from typing import Any

__all__ = ["require"]


def require(module: str, package: str | None = None) -> Any:
    """A module of the optional packages of sweeps.

    Raises:
        ImportError: naming the package to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        rule = f"sweeps need the package {package or module}; it cannot be imported ({error})"
        raise ImportError(f"{rule}. Run: pip install 'dhaps[sweep]'") from error
