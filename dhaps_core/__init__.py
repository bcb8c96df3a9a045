"""Active pairwise supervision of hash codes: the core of DH-APS (Wang, Zheng, Lu, Zhou, ECCV 2020).

One vocabulary of axes for signatures and docstrings:

====  =====================================  ====  =====================================
n     items of a collection                  b     bits of a code
m     database items                         d     features of an embedding
q     queries, or picks of one round         c     classes
p, r  pairs of items                         k     cut-off of a ranking
l     labelled pairs or items                s     items labelled so far
====  =====================================  ====  =====================================

``u(x)`` in [-1, 1]^b is the relaxed code and ``h(x) = sign(u(x))`` in {-1, +1}^b, with ``sign(0) = +1``.

The names below are the face of the package: they, and what they do, stay. They are loaded when first used, so
importing the package loads nothing heavy, and ``data`` and ``answers`` work without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dhaps_core.acquisition.select import select
    from dhaps_core.answers.questions import label_oracle
    from dhaps_core.data.items import Items
    from dhaps_core.data.sources import arrays, cifar10, digits, image_folder, list_files, open_items
    from dhaps_core.find.loaded import load
    from dhaps_core.hashing.training_settings import TrainingSettings
    from dhaps_core.retrieval.index import HammingIndex
    from dhaps_core.session.active import ActiveSession
    from dhaps_core.session.settings import Settings

__all__ = [
    "ActiveSession",
    "Settings",
    "TrainingSettings",
    "Items",
    "digits",
    "arrays",
    "image_folder",
    "cifar10",
    "list_files",
    "open_items",
    "label_oracle",
    "HammingIndex",
    "load",
    "select",
    "__version__",
]

__version__ = "0.1.0"

_HOME = {
    "ActiveSession": "session.active",
    "Settings": "session.settings",
    "TrainingSettings": "hashing.training_settings",
    "Items": "data.items",
    "label_oracle": "answers.questions",
    "HammingIndex": "retrieval.index",
    "load": "find.loaded",
    "select": "acquisition.select",
} | dict.fromkeys(("digits", "arrays", "image_folder", "cifar10", "list_files", "open_items"), "data.sources")


def __getattr__(name: str) -> object:
    """The name from its room, loaded at its first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
