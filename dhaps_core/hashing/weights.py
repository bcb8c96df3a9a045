"""Weights of a network in a safetensors file, with a digest; nothing is unpickled."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dhaps_core.files import check_digest, read_file, replace_bytes
from dhaps_core.json_files import DamagedFileError

__all__ = ["read_weights", "write_weights"]

_BESIDE = 1 << 20  # bytes beside the numbers


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write the weights of a network, of any shape, with their digest, as a whole."""
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    replace_bytes(path, save(plain, {"sha256": _digest(save(plain))[0]}))


def read_weights(
    path: Path,
    like: Mapping[str, Tensor],
    *,
    advice: str,
    error: type[DamagedFileError] = DamagedFileError,
    sha256: str | None = None,
) -> dict[str, Tensor]:
    """Weights that `write_weights` wrote (or a dhaps that gave no digest).

    Args:
        path: the file.
        like: of a network: the names, shapes and types that the file must have.
        advice: the end of the message where it has not: what to do.
        error: raised then.
        sha256: hex digest that the whole file must have, or None for any.

    Raises:
        DamagedFileError: if they are missing, or something else.
    """
    numbers = sum(one.numel() * one.element_size() for one in like.values())
    try:
        data = read_file(path, _BESIDE + numbers)
        found, said = _digest(data)
        weights: dict[str, Tensor] = load(data)
        if said not in (None, found):
            raise ValueError("other numbers")  # noqa: TRY301 - named below
        if _kinds(weights) != _kinds(like):
            raise ValueError("those of another network")  # noqa: TRY301
        check_digest(data, sha256)
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        SafetensorError,
    ) as fault:
        raise error(f"{path} must hold the weights of this run's network; got {fault}. {advice}") from fault
    return weights


def _digest(data: bytes) -> tuple[str, str | None]:
    """Digest of all but the metadata of a file, and the one that its metadata tells."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    said = header.pop("__metadata__", {}).get("sha256")
    text = json.dumps(header, sort_keys=True).encode()
    return hashlib.sha256(text + data[start:]).hexdigest(), said


def _kinds(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: (one.shape, one.dtype) for name, one in weights.items()}
