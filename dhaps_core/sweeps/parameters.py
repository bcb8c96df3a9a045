"""What a notebook's parameter may hold: its declared type, and whether a value is of it.

The types are those that JSON and YAML can give: nothing of a declaration is executed to know them.
"""

import ast
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dhaps_core.checks import shown
from dhaps_core.json_files import is_text

__all__ = ["Parameter", "is_json", "papermill_advice", "yaml_advice"]

Advice = Callable[["Parameter", Any], str]

_PLAIN = {kind.__name__: kind for kind in (int, float, str, bool, list, dict)}


def yaml_advice(_: "Parameter", value: Any) -> str:
    """The usual slip of YAML behind a value of the wrong type."""
    if isinstance(value, bool):
        return " YAML reads yes, no, on and off as true and false: quote the word if you mean it."
    try:
        float(value if isinstance(value, str) else "")
    except ValueError:
        return ""
    return " YAML needs a point: write 1.0e-3 for 1e-3." if "e" in value.lower() else " Remove the quotes."


def papermill_advice(parameter: "Parameter", value: Any) -> str:
    """What to write after ``papermill``: its ``-p`` guesses types, and guesses text where it knows none."""
    annotation = parameter.annotation or ""
    if "str" in annotation and isinstance(value, bool | int | float | None):
        return f" Text that looks like another type goes with -r: papermill ... -r {parameter.name} ..."
    if annotation == "bool":
        return " Write True or False."
    if "[" in annotation or annotation in {"list", "dict"}:
        return f" Write it as YAML: papermill ... -y '{parameter.name}: [1, 2]'"
    return ""


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

    def fault(self, value: Any, advice: Advice = yaml_advice) -> str | None:
        """Why a value does not fit, or None.

        Args:
            value: as the notebook would get it.
            advice: gives the end of the message, for a value of the wrong type.

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
        except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
            rule = f"the type of {self.name} must be made of {', '.join(_PLAIN)}, None, Literal and |"
            return f"{rule}; got {self.annotation:.80}."
        if not fits:
            got = f"{shown(value)} ({type(value).__name__})"
            return f"{self.name} must be {self.annotation}; got {got}.{advice(self, value)}"
        if not is_json(value):
            return f"{self.name} must be made of what JSON holds; got {shown(value)}. Write text or numbers."
        return None

    def exact(self, value: Any) -> Any:
        """A value that fits, whole numbers made floats where the type has no int: 1 and 1.0 are one run."""
        names = {part.strip() for part in (self.annotation or "").split("|")}
        return float(value) if type(value) is int and "float" in names and "int" not in names else value


def is_json(value: Any) -> bool:
    """Whether JSON gives a value back as it is."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and is_json(name) and is_json(v) for name, v in value.items())
    if isinstance(value, list):
        return all(map(is_json, value))
    if isinstance(value, str):
        return is_text(value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int)


def _fits(value: Any, kind: ast.expr) -> bool:
    """Whether a value is of an annotated type: of no other that equals it, and of finite numbers.

    Raises:
        TypeError: if the annotation is none of those known.
        ValueError: if a Literal holds something else than constants.
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
            among = allowed if isinstance(allowed, tuple) else (allowed,)
            return any(type(value) is type(one) and value == one for one in among)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return isinstance(value, list) and all(_fits(one, inner) for one in value)
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, inner])):
            return isinstance(value, dict) and all(
                _fits(k, key) and _fits(v, inner) for k, v in value.items()
            )
        case ast.Name(id="float"):
            return type(value) in (int, float) and abs(value) <= sys.float_info.max
        case ast.Name(id=name) if name in _PLAIN:
            return type(value) is _PLAIN[name]
    raise TypeError(ast.unparse(kind))
