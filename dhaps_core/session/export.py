"""What a person takes along from a run: codes with their keys, a search index, the answers."""

from pathlib import Path

import numpy as np

from dhaps_core.answers.csv_file import write_csv
from dhaps_core.files import make_folder, remove_leftovers, replacing
from dhaps_core.json_files import write_object
from dhaps_core.session.folder import check_place
from dhaps_core.session.run import OpenRun

__all__ = ["export"]


def export(run: OpenRun, number: int, folder: Path) -> None:
    """Write the results of a finished round into a folder, in place of those of any other.

    The folder then holds ``codes.npz`` (packed codes, bits, keys, round), ``index.npz`` for
    :meth:`HammingIndex.load`, ``answers.csv`` (all that count now) and ``export.json``, which is away while
    the others change: where it is, they belong together.

    Raises:
        RunDamaged: if something is in the way of one of them; the export before stays.
        ValueError: if there is no such round, or something else has the name of the folder.
    """
    packed, index, bits = run.packed_codes(number).numpy(), run.index(number), run.settings.bits
    make_folder(folder)
    for name in ("export.json", "codes.npz", "index.npz", "answers.csv"):
        check_place(folder / name)
    remove_leftovers(folder, below=False)  # of exports that were killed
    (folder / "export.json").unlink(missing_ok=True)
    with replacing(folder / "codes.npz") as file:
        np.savez_compressed(file, codes=packed, bits=bits, keys=np.array(run.items.keys), round=number)
    index.save(folder / "index.npz")
    write_csv(run.answers(), folder / "answers.csv")
    about = {"run": run.name, "round": number, "bits": bits, "items": run.items.n, "searched": len(index)}
    write_object(folder / "export.json", about | {"answers": len(run.answers())})
