"""Files of rows, each kept by the digest of the image that it was made of: 32 bytes, then the row."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from dhaps_core.array_files import write_array
from dhaps_core.files import make_folder, remove_leftovers, replace_text

__all__ = ["KEY", "rows_file", "rows_folder", "write_rows"]

KEY = hashlib.sha256().digest_size


def rows_folder(cache: Path, name: str, settings: Mapping[str, Any]) -> Path:
    """Sub-folder for what these settings make of images; settings.json tells a person what it holds."""
    text = json.dumps(settings, indent=1)
    folder = cache / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    make_folder(folder)
    remove_leftovers(folder)
    replace_text(folder / "settings.json", text + "\n")
    return folder


def rows_file(folder: Path, digests: Sequence[str]) -> Path:
    """The file of the rows of some images, by their hex sha256."""
    return folder / f"images-{hashlib.sha256(_bytes(digests)).hexdigest()[:16]}.npy"


def write_rows(folder: Path, digests: Sequence[str], rows: Shaped[np.ndarray, "n ..."]) -> None:
    """Write the rows [n ...] of some images, as bytes behind the digest of each."""
    keys = np.frombuffer(_bytes(digests), np.uint8).reshape(len(digests), KEY)
    values = np.ascontiguousarray(rows).reshape(len(keys), -1).view(np.uint8)
    write_array(rows_file(folder, digests), np.hstack([keys, values]))


def _bytes(digests: Sequence[str]) -> bytes:
    return b"".join(bytes.fromhex(digest) for digest in digests)
