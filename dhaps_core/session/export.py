"""What a person takes along from a run: one folder that encodes and searches without it."""

from pathlib import Path

from dhaps_core.files import digest
from dhaps_core.find.keep import Result, keep
from dhaps_core.find.parts import MANIFEST, NEXT, PARTS, is_whole
from dhaps_core.hashing.encoder import Encoder
from dhaps_core.hashing.methods.piq import ForetellingMethod
from dhaps_core.session.folder import WEIGHTS, check_place
from dhaps_core.session.run import OpenRun

__all__ = ["check_encoder", "export", "is_exported"]


def export(run: OpenRun, number: int, folder: Path, encoder: Encoder | None) -> None:
    """Write the result of a finished round into a folder, in place of any other (:mod:`dhaps_core.find`).

    Args:
        run: the run.
        number: of the round.
        folder: made if it is absent.
        encoder: what made the features of its items, if they had images.

    Raises:
        RunDamaged: if something is in the way of one of the files; the result before stays.
        ValueError: if there is no such round, or something else has the name of the folder.
    """
    packed, items, model = run.packed_codes(number).numpy(), run.items, run.model
    row = run.history[number]
    sizes = row.get("layers", {})
    told = model.told(run.snapshot(row["watermark"])) if sizes.get("classes") else None
    answers = run.answers()
    for name in (MANIFEST, *PARTS):
        check_place(folder / name)
    check_place(folder / NEXT, folder=True)
    result = Result(
        about={**_about(run, number), "method": run.settings.method, "answers": len(answers)},
        items=items,
        packed=packed,
        plan=model.plan,
        sizes=sizes,
        weights=run.weights_file(number),
        names=told.names if told is not None and isinstance(model.method, ForetellingMethod) else (),
        answers=answers,
        encoder=None if run.settings.side else encoder,
        centring=None if run.settings.side else model.centring,
        floats=None if run.settings.side else model.references,
    )
    keep(folder, result)


def is_exported(run: OpenRun, number: int, folder: Path) -> bool:
    """Whether a folder holds the whole result of that round."""
    return is_whole(folder, _about(run, number))


def check_encoder(run: OpenRun, encoder: Encoder | None) -> None:
    """Refuse what did not make the features of the items.

    Raises:
        ValueError: saying how many features it makes.
    """
    features = run.items.features
    if encoder is None or features is None:
        return
    made = len(encoder.projection.components)
    if made != features.shape[1]:
        rule = f"encoder must be what made the {features.shape[1]} features of the items"
        raise ValueError(f"{rule}; got one that makes {made}. Pass both that embedded(...) returned.")


def _about(run: OpenRun, number: int) -> dict[str, object]:
    """What tells the result of a round from those of others, of this and of other runs."""
    made = digest(run.folder.file(WEIGHTS, number))
    return {"run": run.name, "round": number, "made_of": made}
