"""What a person takes along from a run: codes with their keys, a search index, the answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dhaps_core.answers.store import LabelStore
from dhaps_core.codes import pack
from dhaps_core.files import make_folder, remove_leftovers, replacing
from dhaps_core.json_files import write_object
from dhaps_core.retrieval.index import HammingIndex
from dhaps_core.session.folder import check_place

__all__ = ["export"]


def export(
    folder: Path,
    *,
    codes: npt.NDArray[np.int8],
    keys: Sequence[str],
    index: HammingIndex,
    store: LabelStore,
    about: dict[str, Any],
) -> None:
    """Write the results of one round into a folder, in place of those of any other.

    The folder then holds ``codes.npz`` (packed codes, bits, keys, round), ``index/`` for
    :meth:`HammingIndex.load`, ``answers.csv`` (all that count now) and ``export.json``, which is away while
    the others change: where it is, they belong together.

    Args:
        folder: made if it is absent.
        codes: of every item [n b], in {-1, +1}.
        keys: of every item.
        index: over those that are searched.
        store: of the run.
        about: of the round: its number and its run; kept in ``export.json``.

    Raises:
        RunDamaged: if something is in the way of one of them; the export before stays.
        ValueError: if something else has the name of the folder.
    """
    make_folder(folder)
    for name in ("export.json", "codes.npz", "answers.csv"):
        check_place(folder / name)
    check_place(folder / "index", folder=True)
    remove_leftovers(folder, below=False)  # of exports that were killed
    (folder / "export.json").unlink(missing_ok=True)
    bits, packed = codes.shape[1], pack(torch.from_numpy(codes)).numpy()
    with replacing(folder / "codes.npz") as file:
        np.savez_compressed(file, codes=packed, bits=bits, keys=np.array(keys), round=about["round"])
    index.save(folder / "index")
    store.export_csv(folder / "answers.csv")
    counted = {"bits": bits, "items": len(keys), "searched": len(index), "answers": len(store.answers())}
    write_object(folder / "export.json", {**about, **counted})
