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
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dhaps_core.checks import hint
from dhaps_core.files import read_file
from dhaps_core.sweeps.parameters import Parameter, is_json, papermill_advice

__all__ = ["Notebook", "check_parameters", "code_cells", "json_digest"]

_LARGEST = 16 << 20  # bytes


def json_digest(content: Any) -> str:
    """SHA-256, as hex, of the JSON of a value; the order of keys does not matter.

    Example:
        >>> json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})
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
            content = read_file(path, _LARGEST).decode("utf-8")
            cells, tagged = code_cells(content), code_cells(content, tag="parameters")
            parameters = _parameters(tagged[0]) if len(tagged) == 1 else {}
        except Exception as error:  # whatever Python raises on what is neither JSON nor Python, or has no end
            got = f"{path} ({type(error).__name__}: {error})"
            raise ValueError(f"notebook must be a readable .ipynb file; got {got}.") from error
        if len(tagged) != 1:
            rule = f"{path.name} must have one cell tagged `parameters`"
            raise ValueError(f"{rule}; got {len(tagged)}. Tag the one.")
        if "folder" not in parameters:
            rule = f'{path.name} must have a parameter `folder: str = "..."` and write metrics.json there'
            raise ValueError(f"{rule}: the sweep gives every run its own. Add it.")
        return cls(path, parameters, json_digest(cells), content)


def code_cells(content: str, *, tag: str | None = None) -> list[str]:
    """Sources of the code cells of an .ipynb file's text, or of those with a tag.

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
    for name, parameter in declared.items():
        value = namespace[name]
        if fault := parameter.fault(value, papermill_advice):
            faults.append(fault)
        elif type(parameter.exact(value)) is int and value < 0:
            faults.append(f"{name} must be 0 or more; got {value}.")
        elif isinstance(value, str) and value.startswith("~/"):
            namespace[name] = os.path.expanduser(value)
    if faults:
        rule = "the parameters cell states types, and these must hold; nothing was run."
        raise ValueError("\n- ".join([rule, *faults]))


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
            given = list(_parameters(source))
        elif any(isinstance(line, ast.AnnAssign) for line in lines) and all(
            isinstance(line, ast.AnnAssign | ast.Assign) for line in lines
        ):
            return _parameters(source), given
    raise ValueError("the parameters cell must run before this one; it did not. Run it, then this again.")


def _parameters(source: str) -> dict[str, Parameter]:
    """Names that a cell assigns; one without a type keeps that of its declaration above."""
    found: dict[str, Parameter] = {}
    for line in ast.parse(source).body:
        match line:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=ast.expr() as value):
                found[name] = Parameter(name, ast.unparse(kind), _literal(value))
            case ast.Assign(targets=[ast.Name(id=name), *_], value=value):
                known = found[name].annotation if name in found else None
                found[name] = Parameter(name, known, _literal(value))
    return found


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.unparse(node)
    return value if is_json(value) else ast.unparse(node)
