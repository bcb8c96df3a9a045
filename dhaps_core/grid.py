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
"""

import importlib
import itertools
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dhaps_core.checks import hint
from dhaps_core.notebook_parameters import Notebook, digest

__all__ = ["Cell", "Grid", "GridError", "read_grid", "require"]

_OWN = ("folder", "interactive")  # parameters that the sweep sets
_KEYS = ("notebook", "every", "blocks", "threads", "timeout", "resources")


class GridError(ValueError):
    """A grid that cannot run; the message lists every fault with the cell of the grid it is in."""


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
    """A checked grid; see the module for its fields."""

    path: Path
    notebook: Notebook
    cells: tuple[Cell, ...]
    threads: int = 1
    timeout: int = 86400
    resources: dict[str, float] = field(default_factory=dict)


def require(module: str, package: str | None = None) -> Any:
    """A module of the optional packages of sweeps.

    Raises:
        ImportError: naming the package to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = (
            f"sweeps need the package {package or module}; it cannot be imported ({error}). "
            "Run: pip install 'dhaps[sweep]'"
        )
        raise ImportError(msg) from error


def read_grid(path: str | Path) -> Grid:
    """The grid of a file, expanded and checked against its notebook's parameters.

    Raises:
        GridError: listing every fault, each with its cell.
    """
    path = Path(path).absolute()
    content = _load(path)
    faults = _form_faults(content)
    if faults:
        raise _error(path, faults)
    blocks = content.get("blocks") or {"": {}}
    sets = {name: {**(content.get("every") or {}), **own} for name, own in blocks.items()}
    try:
        notebook = Notebook.read(path.parent / os.path.expandvars(content["notebook"]))
    except ValueError as error:
        raise _error(path, [str(error)]) from error
    written = {"": (content.get("every") or {}), **(content.get("blocks") or {})}
    faults = [
        fault for name, values in written.items() for fault in _faults(name, values, notebook, path.parent)
    ]
    if faults:
        raise _error(path, faults)
    cells = tuple(
        cell for name, values in sets.items() for cell in _cells(name, values, notebook, path.parent)
    )
    faults = _duplicates(cells)
    if faults:
        raise _error(path, faults)
    options = {key: content[key] for key in ("threads", "timeout") if key in content}
    resources = {name: float(amount) for name, amount in content.get("resources", {}).items()}
    return Grid(path, notebook, cells, resources=resources, **options)


def _error(path: Path, faults: list[str]) -> GridError:
    return GridError(
        f"{path.name} must be a grid that can run; nothing was started.\n- " + "\n- ".join(faults)
    )


def _load(path: Path) -> dict[str, Any]:
    require("yaml", "pyyaml")
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML in which a key that stands twice is an error, not the last one winning."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                name = self.construct_object(key, deep=True)
                if name in seen:
                    line = key.start_mark.line + 1
                    raise _error(
                        path, [f"keys must be unique; got {name!r} twice, again in line {line}. Rename one."]
                    )
                seen.add(name)
            return super().construct_mapping(node, deep)

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506  (it is a SafeLoader)
    except OSError as error:
        msg = f"the grid file must be readable; got {error}"
        raise GridError(msg) from error
    except yaml.YAMLError as error:
        raise _error(path, [f"it must be YAML; {error}"]) from error
    if not isinstance(content, dict):
        raise _error(path, [f"it must be a mapping with {', '.join(_KEYS)}; got {type(content).__name__}."])
    return content


def _form_faults(content: Mapping[Any, Any]) -> list[str]:
    """Faults of the file's own keys and their types."""
    faults = [
        f"keys must be among {', '.join(_KEYS)}; got {key!r}.{hint(key, _KEYS)}"
        for key in content
        if key not in _KEYS
    ]
    if not isinstance(content.get("notebook"), str):
        faults.append("notebook must be the path of a notebook. Add a line such as `notebook: ../my.ipynb`.")
    if not content.get("every") and not content.get("blocks"):
        faults.append("every or blocks must set parameters; got neither.")
    blocks = content.get("blocks") or {}
    sections = {"every": content.get("every") or {}, "blocks": blocks}
    sections |= {f"block {name!r}": own for name, own in blocks.items()} if isinstance(blocks, dict) else {}
    faults += [
        f"{name} must be a mapping; got {section!r}."
        for name, section in sections.items()
        if not isinstance(section, dict)
    ]
    for key in ("threads", "timeout"):
        value = content.get(key, 1)
        if type(value) is not int or value < 1:
            faults.append(f"{key} must be a whole number from 1; got {value!r}.")
    resources = content.get("resources", {})
    if not isinstance(resources, dict) or not all(
        isinstance(name, str) and type(amount) in (int, float) and 0 < amount < math.inf
        for name, amount in resources.items()
    ):
        faults.append(f"resources must map names to positive numbers, such as {{GPU: 1}}; got {resources!r}.")
    return faults


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
                at = f"cell {block!r} with {name}={one!r}" if block else f"cells with {name}={one!r}"
                fault = parameter.fault(one) or _value_fault(name, one, base)
                if fault:
                    yield f"{at}: {fault}"


def _value_fault(name: str, value: Any, base: Path) -> str | None:
    """What is wrong with a value of the right type: an unknown method, a path that does not exist."""
    if name == "method":
        from dhaps_core.settings import METHODS  # here: it loads torch, which a grid without methods need not

        if value not in METHODS:
            return f"method must be one of {', '.join(METHODS)}.{hint(value, METHODS)}"
    if not _is_path(value):
        return None
    unset = re.search(r"\$\w+|\$\{\w+\}", os.path.expandvars(value))
    if unset:
        return f"the environment variable {unset[0]} must be set. Set it and start again."
    if not _resolve(value, base).exists():
        return f"the path must exist; there is nothing at {_resolve(value, base)}."
    return None


def _cells(block: str, values: Mapping[str, Any], notebook: Notebook, base: Path) -> Iterator[Cell]:
    defaults = {name: one.exact(one.default) for name, one in notebook.parameters.items() if name not in _OWN}
    for combination in itertools.product(*map(_listed, values.values())):
        chosen = {
            name: notebook.parameters[name].exact(value)
            for name, value in zip(values, combination, strict=True)
        }
        parameters = {**defaults, **chosen}
        yield Cell(
            run=digest({"notebook": notebook.path.name, "parameters": parameters})[:12],
            name=" / ".join(
                filter(None, (block, ", ".join(f"{name}={value}" for name, value in chosen.items())))
            ),
            block=block,
            parameters=parameters,
            given={
                name: str(_resolve(value, base)) if _is_path(value) else value
                for name, value in chosen.items()
            },
        )


def _duplicates(cells: tuple[Cell, ...]) -> list[str]:
    first: dict[str, Cell] = {}
    return [
        f"cell {cell.name!r}: cells must differ; {first[cell.run].name!r} is the same. Remove one."
        for cell in cells
        if first.setdefault(cell.run, cell) is not cell
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or value.startswith(("~", "$")))


def _resolve(value: str, base: Path) -> Path:
    return Path(os.path.abspath(base / Path(os.path.expandvars(value)).expanduser()))  # links stay links
