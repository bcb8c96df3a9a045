"""Files of a run, each replaced as a whole, so that a killed process leaves the old one or the new one."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file, save_file
from torch import Tensor

__all__ = ["RunFolder"]


class RunFolder:
    """Names and formats of what a run keeps; no pickles.

    Args:
        path: the folder; made if it is absent.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def file(self, name: str, round_: int | None = None) -> Path:
        """Path of a file of the run, or of one of its rounds."""
        if round_ is None:
            return self.path / name
        folder = self.path / f"round-{round_:03d}"
        folder.mkdir(exist_ok=True)
        return folder / name

    def write_json(self, name: str, content: Mapping[str, Any], round_: int | None = None) -> None:
        """Write a JSON file."""
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        self._replace(self.file(name, round_), lambda new: new.write_text(text + "\n", encoding="utf-8"))

    def read_json(self, name: str, round_: int | None = None) -> dict[str, Any] | None:
        """Content of a JSON file, or None if there is none."""
        path = self.file(name, round_)
        if not path.exists():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def write_array(self, name: str, array: npt.NDArray[Any], round_: int | None = None) -> None:
        """Write one array as .npy."""

        def write(new: Path) -> None:
            with new.open("wb") as file:
                np.save(file, array, allow_pickle=False)

        self._replace(self.file(name, round_), write)

    def read_array(self, name: str, round_: int | None = None) -> npt.NDArray[Any] | None:
        """An array, or None if there is none."""
        path = self.file(name, round_)
        return np.load(path, allow_pickle=False) if path.exists() else None

    def write_weights(self, weights: Mapping[str, Tensor], round_: int) -> None:
        """Write the weights of a network as safetensors."""
        plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        self._replace(self.file("weights.safetensors", round_), lambda new: save_file(plain, new))

    def read_weights(self, round_: int) -> dict[str, Tensor]:
        """The weights of a round."""
        weights: dict[str, Tensor] = load_file(self.file("weights.safetensors", round_))
        return weights

    @staticmethod
    def _replace(path: Path, write: Any) -> None:
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        write(new)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
