"""A notebook's parameters, read from its tagged cell: names, types, defaults; checked where it runs.

Papermill gives an unknown parameter to the notebook with no more than a warning, takes ``-p smoke false`` for
text, which counts as true, and its own reader knows no ``int | None`` and skips a line whose comment has an
equals sign. So the cell is read here, as Python: by a sweep, from the file and before anything runs; by
:func:`check_parameters`, in the notebook's own kernel and before its first step. Nothing of it is executed.
"""

import ast
import hashlib
import json
import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dhaps_core.checks import hint
from dhaps_core.sweeps.parameters import Parameter, is_json

__all__ = ["Notebook", "check_parameters", "code_cells", "digest"]

_MOST = 16 << 20  # bytes of a notebook that is read


def digest(content: Any) -> str:
    """SHA-256, as hex, of the JSON of a value; the order of keys does not matter.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Notebook:
    """A notebook that a sweep can run.

    Attributes:
        path: absolute.
        parameters: by name, in the order of the cell.
        code: hash of its code cells; text around them may change freely.
        content: the file's text as it was read.
    """

    path: Path
    parameters: Mapping[str, Parameter]
    code: str
    content: str

    @classmethod
    def read(cls, path: Path) -> "Notebook":
        """The notebook of a file; nothing of it is executed.

        Raises:
            ValueError: if it is no notebook, has no parameters cell, or none of them is ``folder``.
        """
        try:
            path = path.resolve()
            content = _text(path)
            cells = code_cells(content)
            tagged = code_cells(content, tag="parameters")
            parameters = _parameters(tagged[0]) if len(tagged) == 1 else {}
        except _UNREADABLE as error:
            raise ValueError(
                f"notebook must be a readable .ipynb file; got {path} ({type(error).__name__}: {error})."
            ) from error
        if len(tagged) != 1:
            raise ValueError(
                f"{path.name} must have one cell tagged `parameters`; got {len(tagged)}. Tag the one."
            )
        if "folder" not in parameters:
            raise ValueError(
                f'{path.name} must have a parameter `folder: str = "..."` and write metrics.json there: '
                "the sweep gives every run its own. Add it."
            )
        return cls(path, parameters, digest(cells), content)


# All that Python's readers of JSON and of Python raise on text that is neither, or is nested without end.
_UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    SyntaxError,
    MemoryError,
)


def code_cells(content: str, *, tag: str | None = None) -> list[str]:
    """Sources of the code cells of a notebook's text.

    Args:
        content: of an .ipynb file.
        tag: of the cells that are wanted; all of them if None.

    Raises:
        ValueError: if it is no JSON; other exceptions if it is no notebook.
    """
    return [
        "".join(cell["source"])
        for cell in json.loads(content)["cells"]
        if cell["cell_type"] == "code" and (tag is None or tag in cell["metadata"].get("tags", ()))
    ]


def check_parameters(namespace: MutableMapping[str, Any]) -> None:
    """Refuse values that do not have the types of the parameters cell, and names that it has not.

    Whole numbers below 0 are refused, too: all of them count something. A path from ``~/`` on begins at
    one's home, as in a shell. A notebook calls this before its first step, with ``globals()``.

    Args:
        namespace: of the notebook, with IPython's list ``In`` of the cells that ran; the last one of nothing
            but parameters counts, and what papermill put after it.

    Raises:
        ValueError: listing every fault; or if no parameters cell ran.

    Example:
        >>> check_parameters({"In": ["", "smoke: bool = False"], "smoke": "false"})
        Traceback (most recent call last):
            ...
        ValueError: the parameters cell states types, and these must hold; nothing was run.
        - smoke must be bool; got 'false' (str). Write True or False.
    """
    declared, given = _ran(namespace.get("In", ()))
    faults = [
        f"{name} must be a parameter of this notebook, which has {', '.join(declared)}.{hint(name, declared)}"
        for name in given
        if name not in declared and not name.startswith("PAPERMILL_")  # papermill's own, of --inject-paths
    ]
    faults += [
        fault
        for name in declared
        if (fault := declared[name].fault(namespace[name], _papermill_advice(declared[name])))
    ]
    faults += [
        f"{name} must be 0 or more; got {namespace[name]}."
        for name in declared
        if type(namespace[name]) is int and namespace[name] < 0
    ]
    if faults:
        raise ValueError(
            "the parameters cell states types, and these must hold; nothing was run.\n- "
            + "\n- ".join(faults)
        )
    for name in declared:
        if isinstance(namespace[name], str) and namespace[name].startswith("~/"):
            namespace[name] = os.path.expanduser(namespace[name])


def _ran(cells: Sequence[str]) -> tuple[dict[str, Parameter], list[str]]:
    """Parameters of the last cell of nothing else, and names that papermill set after it.

    Raises:
        ValueError: if there is no such cell.
    """
    given: list[str] = []
    for source in reversed(cells):
        try:
            lines = ast.parse(source).body
        except SyntaxError:  # one that did not run
            continue
        if source.startswith("# Parameters\n"):  # papermill's own heading
            given = [
                name.id for line in lines if isinstance(line, ast.Assign) for name in line.targets
                if isinstance(name, ast.Name)
            ]  # fmt: skip
        elif any(isinstance(line, ast.AnnAssign) for line in lines) and all(
            isinstance(line, ast.AnnAssign | ast.Assign) for line in lines
        ):
            return _parameters(source), given
    raise ValueError("the parameters cell must run before this one; it did not. Run it, then this again.")


def _papermill_advice(parameter: Parameter) -> Callable[[Any], str]:
    """What to write after ``papermill``: its ``-p`` guesses types, and guesses text where it knows none."""

    def advice(value: Any) -> str:
        annotation = parameter.annotation or ""
        if "str" in annotation and isinstance(value, bool | int | float | None):
            return f" Text that looks like another type goes with -r: papermill ... -r {parameter.name} ..."
        if annotation == "bool":
            return " Write True or False."
        if "[" in annotation or annotation in {"list", "dict"}:
            return f" Write it as YAML: papermill ... -y '{parameter.name}: [1, 2]'"
        return ""

    return advice


def _text(path: Path) -> str:
    """Text of a file of bounded size.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no plain file, too large, or no UTF-8.
    """
    if not path.is_file():
        raise ValueError("there is no such file" if not path.exists() else "no plain file")
    with path.open("rb") as file:
        raw = file.read(_MOST + 1)
    if len(raw) > _MOST:
        raise ValueError(f"more than {_MOST >> 20} MiB")
    return raw.decode("utf-8")


def _parameters(source: str) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    for line in ast.parse(source).body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value is not None:
            name = line.target.id
            found[name] = Parameter(name, ast.unparse(line.annotation), _literal(line.value))
        elif isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            name = line.targets[0].id  # written below its declaration, as people do, it keeps the type
            found[name] = Parameter(
                name, found[name].annotation if name in found else None, _literal(line.value)
            )
    return found


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.unparse(node)
    return value if is_json(value) else ast.unparse(node)
