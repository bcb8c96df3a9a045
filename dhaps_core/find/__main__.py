"""``python -m dhaps_core.find FOLDER IMAGE...``: what is nearest to some images in the result of a run."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from dhaps_core.escaping import one_line
from dhaps_core.find.loaded import Hit, Loaded, load
from dhaps_core.find.parts import ResultInUse
from dhaps_core.find.queries import pictures_in
from dhaps_core.find.sheet import laid_out, sheet_path, write_sheet

SHORTLIST = 200


def main(arguments: Sequence[str]) -> None:
    """Find images, print what was found, and leave a sheet of it if asked.

    Raises:
        SystemExit: with status 2 and one sentence, if something is not as it must be.
    """
    asked = _parser().parse_args(arguments)
    try:
        if asked.sheet:
            sheet_path(asked.sheet)
        loaded = load(asked.folder)
        found = _searched(loaded, asked)
        for image, hits in zip(asked.images, found, strict=True):
            _write([one_line(image), *map(_line, hits)])
        if asked.sheet:
            _sheet(loaded, asked, found)
        if asked.add:
            done = loaded.add(asked.images)
            _write(f"added: {one_line(key)}" for key in done.added)
            _write(f"there already: {one_line(key)}, as {one_line(known)}" for key, known in done.known)
    except (ValueError, OSError, ImportError, ResultInUse) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    name = "python -m dhaps_core.find"
    parser = argparse.ArgumentParser(prog=name, description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", metavar="FOLDER", help="that a run keeps up to date, or a copy of it")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="what to look for")
    parser.add_argument("-k", type=int, help="how many to find for each (10, or all if those are fewer)")
    parser.add_argument("--radius", type=int, help="find all within so many bits instead")
    way = f"put a shortlist by codes ({SHORTLIST} long) in order by how sure the floats are; show that"
    parser.add_argument("--rerank", type=int, nargs="?", const=SHORTLIST, default=0, metavar="N", help=way)
    parser.add_argument("--sheet", metavar="FILE", help="write the pictures of it all: a .png or an .html")
    parser.add_argument("--add", action="store_true", help="then put the images among what is searched")
    return parser


def _searched(loaded: Loaded, asked: argparse.Namespace) -> list[list[Hit]]:
    if asked.radius is not None:
        return [loaded.within(one, asked.radius, rerank=bool(asked.rerank)) for one in asked.images]
    k = min(10, len(loaded)) if asked.k is None else asked.k
    return loaded.search_all(asked.images, k, rerank=min(asked.rerank, len(loaded)))


def _sheet(loaded: Loaded, asked: argparse.Namespace, found: Sequence[Sequence[Hit]]) -> None:
    images = pictures_in(asked.images)
    assert images is not None
    names = [Path(image).name for image in asked.images]
    write_sheet(asked.sheet, laid_out(loaded, names, images, found))
    _write([f"sheet: {one_line(asked.sheet)}"])


def _line(hit: Hit) -> str:
    bits = f"  {hit.distance:4} {'bit ' if hit.distance == 1 else 'bits'}"
    return f"{bits}{'' if hit.score is None else f'  {hit.score:6.3f}'}  {one_line(hit.key)}"


def _write(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
