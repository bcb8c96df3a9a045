"""A notebook's parameters, read from its tagged cell: names, types, defaults; and whether a value fits.

Papermill gives an unknown parameter to the notebook with no more than a warning, and its own reader knows no
``int | None`` and skips a line whose comment has an equals sign. So the cell is read here, as Python.
"""

import ast
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Notebook", "Parameter", "digest"]

_PLAIN = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": list,
    "dict": dict,
    "None": type(None),
}


def digest(content: Any) -> str:
    """SHA-256, as hex, of the JSON of a value; the order of keys does not matter.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Parameter:
    """One line ``name: type = default`` of the parameters cell.

    Attributes:
        name: of the variable.
        annotation: its type as written, or None.
        default: its value; the source text where that is no literal.
    """

    name: str
    annotation: str | None
    default: Any

    def fault(self, value: Any) -> str | None:
        """Why a value does not fit, or None.

        Example:
            >>> Parameter("bits", "int", 32).fault("12")
            "bits must be int; got '12' (str). Remove the quotes."
            >>> Parameter("rate", "float | None", None).fault(1) is None
            True
        """
        if self.annotation is None:
            return (
                f"{self.name} must have a type in its notebook. Write it there as `{self.name}: int = ...`."
            )
        try:
            fits = _fits(value, ast.parse(self.annotation, mode="eval").body)
        except (SyntaxError, TypeError):
            known = ", ".join(_PLAIN)
            return f"the type of {self.name} must be made of {known}, Literal and |; got {self.annotation}."
        if fits:
            return None
        return (
            f"{self.name} must be {self.annotation}; got {value!r} ({type(value).__name__}).{_advice(value)}"
        )

    def exact(self, value: Any) -> Any:
        """A value that fits, whole numbers made floats where the type has no int: 1 and 1.0 are one run."""
        names = {part.strip() for part in (self.annotation or "").split("|")}
        return float(value) if type(value) is int and "float" in names and "int" not in names else value


@dataclass(frozen=True)
class Notebook:
    """A notebook that a sweep can run.

    Attributes:
        path: absolute.
        parameters: by name, in the order of the cell.
        code: hash of its code cells; text around them may change freely.
    """

    path: Path
    parameters: Mapping[str, Parameter]
    code: str

    @classmethod
    def read(cls, path: Path) -> "Notebook":
        """The notebook of a file.

        Raises:
            ValueError: if it is no notebook, has no parameters cell, or none of them is ``folder``.
        """
        path = path.resolve()
        try:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
            tagged = [
                "".join(cell["source"])
                for cell in cells
                if cell["cell_type"] == "code" and "parameters" in cell["metadata"].get("tags", ())
            ]
            parameters = dict(_parameters(tagged[0])) if len(tagged) == 1 else {}
        except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
            msg = f"notebook must be a readable .ipynb file; got {path} ({type(error).__name__}: {error})."
            raise ValueError(msg) from error
        if len(tagged) != 1:
            msg = f"{path.name} must have one cell tagged `parameters`; got {len(tagged)}. Tag the one."
            raise ValueError(msg)
        if "folder" not in parameters:
            msg = (
                f'{path.name} must have a parameter `folder: str = "..."` and write metrics.json there: '
                "the sweep gives every run its own. Add it."
            )
            raise ValueError(msg)
        return cls(path, parameters, digest(code))


def _parameters(source: str) -> list[tuple[str, Parameter]]:
    found = []
    for line in ast.parse(source).body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value is not None:
            found.append(Parameter(line.target.id, ast.unparse(line.annotation), _literal(line.value)))
        elif isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            found.append(Parameter(line.targets[0].id, None, _literal(line.value)))
    return [(parameter.name, parameter) for parameter in found]


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        return ast.unparse(node)
    return value


def _fits(value: Any, kind: ast.expr) -> bool:
    """Whether a value is of an annotated type.

    Raises:
        TypeError: if the annotation is none of those known.
    """
    match kind:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _fits(value, left) or _fits(value, right)
        case ast.Constant(value=None):
            return value is None
        case ast.Constant(value=str(text)):
            return _fits(value, ast.parse(text, mode="eval").body)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            allowed = ast.literal_eval(choices)
            return value in (allowed if isinstance(allowed, tuple) else (allowed,))
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return isinstance(value, list) and all(_fits(one, inner) for one in value)
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, inner])):
            return isinstance(value, dict) and all(
                _fits(k, key) and _fits(v, inner) for k, v in value.items()
            )
        case ast.Name(id="float"):
            return type(value) in (int, float) and math.isfinite(value)
        case ast.Name(id=name) if name in _PLAIN:
            return type(value) is _PLAIN[name]
    raise TypeError(ast.unparse(kind))


def _advice(value: Any) -> str:
    """The usual slip of YAML behind a value of the wrong type."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return ""
        return (
            " YAML needs a point: write 1.0e-3 for 1e-3." if "e" in value.lower() else " Remove the quotes."
        )
    if isinstance(value, bool):
        return " YAML reads yes, no, on and off as true and false: quote the word if you mean it."
    return ""
