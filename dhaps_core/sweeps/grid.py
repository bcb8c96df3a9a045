"""Grid files: which notebook a sweep runs, with which parameters; checked before anything runs.

A grid is a YAML file::

    notebook: ../04_train_a_method.ipynb  # relative to the grid file, as is every path in it
    every:                                # parameters of all blocks: one value, or a list of values
      dataset: digits
      seed: [0, 1, 2]
    blocks:                               # optional; what a block says goes before what `every` says
      DH-APS 1 %: {acquisition: dhaps, budget: 500}
      random 1 %: {acquisition: random, budget: 500}
    threads: 1                            # compute threads of a run, however many workers there are
    timeout: 3600                         # seconds that one notebook cell may take
    resources: {GPU: 1}                   # what a run takes of a Dask worker's resources

A block stands for the product of its lists, the last varying fastest; each combination is a *cell* and
becomes one run. A list is always a list of values, so a parameter that is itself a list needs two pairs of
brackets. Text with a ``/``, or that begins with ``~`` or ``$``, is a path: environment variables are filled
in, and it must exist. Only ``notebook`` and one of ``every`` and ``blocks`` are needed; the others have the
defaults 1, 86400 and none.

Reading a grid runs nothing, neither of it nor of its notebook, in bounded memory. A sweep of it runs the
notebook that it names, with the rights of whoever starts the sweep: look at a stranger's first.
"""

import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dhaps_core.checks import hint, shown
from dhaps_core.json_files import is_text
from dhaps_core.sweeps.grid_text import KEYS, GridError, grid_error, load_grid
from dhaps_core.sweeps.notebook import Notebook, json_digest

__all__ = ["Cell", "Grid", "read_grid"]

_OWN = ("folder", "interactive")  # parameters that the sweep sets
_MOST_CELLS = 100_000
_MOST = 10**9  # threads, seconds, amounts


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        run: name of its folder: 12 hex digits of the hash of the notebook's name and all parameters.
        name: block and the values that the grid gives, for people.
        block: the block's name; empty if the grid has no blocks.
        parameters: every parameter of the notebook but those that a sweep sets, as written.
        given: those that the grid sets, with paths made absolute: what the notebook is given.
    """

    run: str
    name: str
    block: str
    parameters: dict[str, Any]
    given: dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """A checked grid; see the module for its fields, and ``text`` for the file as it was read."""

    path: Path
    text: str
    notebook: Notebook
    cells: tuple[Cell, ...]
    threads: int
    timeout: int
    resources: dict[str, float]


def read_grid(path: str | Path) -> Grid:
    """The grid of a file, expanded and checked against its notebook's parameters.

    Raises:
        GridError: listing every fault, each with its cell.
    """
    path = Path(path).absolute()
    if not is_text(str(path)):
        raise GridError(f"the grid file must have a name in UTF-8; got {str(path)!a}. Rename it.")
    text, content = load_grid(path)
    _refuse(path, _form_faults(content))
    every, blocks = content.get("every") or {}, content.get("blocks") or {}
    try:
        notebook = Notebook.read(path.parent / os.path.expanduser(os.path.expandvars(content["notebook"])))
    except ValueError as error:
        raise grid_error(path, str(error)) from error
    written = {"": every, **blocks}.items()
    _refuse(path, (fault for name, own in written for fault in _faults(name, own, notebook, path.parent)))
    sets = {name: {**every, **own} for name, own in (blocks or {"": {}}).items()}
    count = sum(math.prod(len(_listed(value)) for value in values.values()) for values in sets.values())
    if count > _MOST_CELLS:
        rule = f"the lists must make at most {_MOST_CELLS:,} cells"
        raise grid_error(path, f"{rule}; got {count:,}. Shorten some, or make several grids.")
    cells = tuple(cell for name in sets for cell in _cells(name, sets[name], notebook, path.parent))
    _refuse(path, _duplicates(cells))
    resources = {name: float(amount) for name, amount in content.get("resources", {}).items()}
    return Grid(
        path, text, notebook, cells, content.get("threads", 1), content.get("timeout", 86400), resources
    )


def _refuse(path: Path, faults: Iterable[str]) -> None:
    if told := tuple(faults):
        raise grid_error(path, *told)


def _form_faults(content: Mapping[Any, Any]) -> Iterator[str]:
    """Faults of the file's own keys and their types."""
    for key in content:
        if key not in KEYS:
            yield f"keys must be among {', '.join(KEYS)}; got {key!r:.80}.{hint(key, KEYS)}"
    if not isinstance(content.get("notebook"), str):
        yield "notebook must be the path of a notebook. Add a line such as `notebook: ../my.ipynb`."
    every, blocks = content.get("every") or {}, content.get("blocks") or {}
    if not every and not blocks:
        yield "every or blocks must set parameters; got neither."
    named = blocks if isinstance(blocks, dict) else {}
    sections = {"every": every, "blocks": blocks} | {f"block {name!r}": named[name] for name in named}
    for name, section in sections.items():
        if not isinstance(section, dict):
            yield f"{name} must be a mapping; got {section!r:.80}."
    for name in named:
        if not isinstance(name, str):
            yield f"block names must be text; got {name!r}. Put it in quotes."
    for key in ("threads", "timeout"):
        value = content.get(key, 1)
        if type(value) is not int or not 1 <= value <= _MOST:
            yield f"{key} must be a whole number from 1 to {_MOST:,}; got {shown(value)}."
    resources = content.get("resources", {})
    if not isinstance(resources, dict) or not all(
        isinstance(name, str) and type(amount) in (int, float) and 0 < amount <= _MOST
        for name, amount in resources.items()
    ):
        rule = f"resources must map names to positive numbers up to {_MOST:,}, such as {{GPU: 1}}"
        yield f"{rule}; got {shown(resources)}."


def _faults(block: str, values: Mapping[Any, Any], notebook: Notebook, base: Path) -> Iterator[str]:
    """Faults of the names and values of a block, or of ``every`` under the name "", each found once."""
    for name, value in values.items():
        where = f"cell {block!r}" if block else "every cell"
        parameter = notebook.parameters.get(name)
        if name in _OWN:
            yield f"{where}: {name} is set by the sweep itself. Remove it."
        elif parameter is None:
            known = [known for known in notebook.parameters if known not in _OWN]
            rule = f"must be a parameter of {notebook.path.name}, which has {', '.join(known)}"
            yield f"{where}: {name!r} {rule}.{hint(name, known)}"
        elif value == []:
            yield f"{where}: {name} must have at least one value; got []."
        else:
            for one in _listed(value):
                at = f"cell {block!r} with {name}={one!r:.80}" if block else f"cells with {name}={one!r:.80}"
                fault = parameter.fault(one) or _value_fault(name, one, base)
                if fault:
                    yield f"{at}: {fault}"


def _value_fault(name: str, value: Any, base: Path) -> str | None:
    """What is wrong with a value of the right type: an unknown name, a path that does not exist."""
    # The lists load torch, which a grid without them need not.
    if name in {"method", "acquisition", "preset"}:
        from dhaps_core.acquisition.strategies import BUDGETS
        from dhaps_core.hashing.methods import METHODS
        from dhaps_core.session.presets import PRESETS

        known = {"method": METHODS, "acquisition": BUDGETS, "preset": PRESETS}[name]
        if value not in known:
            return f"{name} must be one of {', '.join(known)}.{hint(value, known)}"
    if not _is_path(value):
        return None
    if unset := re.search(r"\$\w+|\$\{\w+\}", os.path.expandvars(value)):
        return f"the environment variable {unset[0]} must be set. Set it and start again."
    try:
        found = _resolve(value, base).exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long; the home of nobody; a null character
        return f"the path must exist; {error}."
    # As written: what a variable holds may be nobody else's business.
    return None if found else f"the path must exist; there is nothing at {shown(value)}, seen from {base}."


def _cells(block: str, values: Mapping[str, Any], notebook: Notebook, base: Path) -> Iterator[Cell]:
    known = notebook.parameters
    defaults = {name: one.exact(one.default) for name, one in known.items() if name not in _OWN}
    for combination in itertools.product(*map(_listed, values.values())):
        chosen = {name: known[name].exact(one) for name, one in zip(values, combination, strict=True)}
        parameters = {**defaults, **chosen}
        listed = ", ".join(f"{name}={one}" for name, one in chosen.items())
        yield Cell(
            run=json_digest({"notebook": notebook.path.name, "parameters": parameters})[:12],
            name=" / ".join(filter(None, (block, listed))),
            block=block,
            parameters=parameters,
            given={name: str(_resolve(one, base)) if _is_path(one) else one for name, one in chosen.items()},
        )


def _duplicates(cells: tuple[Cell, ...]) -> Iterator[str]:
    first: dict[str, Cell] = {}
    for cell in cells:
        same = first.setdefault(cell.run, cell)
        if same is not cell:
            yield f"cell {cell.name!r}: cells must differ; {same.name!r} is the same. Remove one."


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or value.startswith(("~", "$")))


def _resolve(value: str, base: Path) -> Path:
    return Path(os.path.abspath(base / Path(os.path.expandvars(value)).expanduser()))  # links stay links
