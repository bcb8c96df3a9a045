"""Values of an annotated type, sensible and nasty ones, for calls of public functions."""

import collections.abc
import dataclasses
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

import dhaps_core
from dhaps_core.answers.questions import Question
from dhaps_core.data.items import Items
from dhaps_core.hashing.backbones import Backbone, pixels
from dhaps_core.hashing.inputs import Inputs
from dhaps_core.hashing.methods import METHODS
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.session.folder import RunFolder
from dhaps_core.session.settings import Settings
from dhaps_core.sweeps.grid import Grid, read_grid

from .finished_sweep import finished_sweep
from .given import SETTINGS, TRAINING, tiny_items

__all__ = ["WRONG", "Axes", "Unknown", "arguments", "modules", "producers", "value"]

INTS = (1, 1, 2, 2, 3, 4, 5, 8, 8, 12, 0, -1, 17, 64, 100)
FLOATS = (
    0.0,
    0.1,
    0.5,
    1.0,
    1.0,
    2.0,
    10.0,
    -1.0,
    1e-3,
    1e-30,
    1e30,
    float("nan"),
    float("inf"),
    -float("inf"),
)
TEXTS = ("", "a", "b", "digits", "dhaps", "dpsh", "train", "cat.jpg", "same", "different", "cpu", "猫",
         "../x", "\0",
         "1", "x" * 300, "mAP@all", "folder: str = ''", "=1+1", "a|b", "$x_1$")  # fmt: skip
WRONG: tuple[Any, ...] = (
    None, "a", "", b"a", 3, -1, 2**63, 2**200, 2.5, float("nan"), True, [], [1, "a", None], {}, {"a": 1},
    (), object(),
    lambda *given: None, int, np.float64("nan"), np.int64(3), np.zeros((0,)), np.array(["a"]), np.ones((2,
    2)),
    np.array([None]), np.zeros((3, 0, 2)), torch.zeros(0), torch.ones(2, 3), torch.tensor(True),
    torch.ones(2) * 1j,
    torch.zeros(2, 2).to_sparse(), torch.empty(1, 2, device="meta"), Path("/nonexistent"), Path("\0"), ...,
                range(3),
)  # fmt: skip


class Unknown(Exception):
    """No value of this type is known here."""


@dataclass
class Axes:
    """Sizes of one call: arrays whose annotations name the same axis agree in it."""

    draws: Random
    folder: Path
    sizes: dict[str, int] = field(default_factory=dict)
    made_up: bool = False  # whether an object of ours was made that our own functions would not make

    def size(self, name: str) -> int:
        if name == "w":
            return -(-self.size("b") // 8)
        return self.sizes.setdefault(name, self.draws.choice((0, 1, 2, 3, 5, 5, 8, 8, 12, 12, 12, 20)))


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of the parameters, as far as they can be told."""
    target = function.__init__ if inspect.isclass(function) else function
    try:
        return typing.get_type_hints(target)
    except (NameError, TypeError, AttributeError):
        return {}


def arguments(function: Callable[..., Any], axes: Axes) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of a call, by the signature; some of those with a default are left out.

    Raises:
        Unknown: no value of one of the types is known.
    """
    given: list[Any] = []
    named: dict[str, Any] = {}
    known = hints(function)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self" or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.default is not parameter.empty and axes.draws.random() < 0.5:
            continue
        kind = known.get(parameter.name, parameter.annotation)
        if parameter.kind is parameter.VAR_POSITIONAL:
            given += [value(kind, axes, parameter.name) for _ in range(axes.draws.randrange(3))]
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            given.append(value(kind, axes, parameter.name))
        else:
            named[parameter.name] = value(kind, axes, parameter.name)
    return given, named


def value(kind: Any, axes: Axes, name: str = "", depth: int = 0) -> Any:
    """A value of a type.

    Raises:
        Unknown: none is known.
    """
    draws = axes.draws
    if depth > 4:
        raise Unknown(kind)
    if hasattr(kind, "dim_str"):
        return _array(kind, axes, name)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in PLAIN:
        return PLAIN[kind](axes)
    if origin in (typing.Union, types.UnionType):
        if any("_Buffer" in str(arm) for arm in inner):
            return _like_an_array(axes, name)
        arms = [arm for arm in inner if arm is not type(None)] if draws.random() < 0.7 else list(inner)
        return value(draws.choice(arms), axes, name, depth + 1)
    if origin is typing.Literal:
        return draws.choice(inner)
    if origin is typing.Annotated:
        return value(inner[0], axes, name, depth + 1)
    if origin is np.ndarray:
        return _rows(inner, axes, name)
    if origin is tuple and inner and inner[-1] is not ...:
        return tuple(value(one, axes, name, depth + 1) for one in inner)
    if origin in (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable,
                  collections.abc.Iterator, collections.abc.Collection):  # fmt: skip
        made = [
            value(inner[0], axes, name, depth + 1) for _ in range(draws.choice((0, 1, 2, 3, axes.size("n"))))
        ]
        return origin(made) if origin in (tuple, set, frozenset) else made
    if origin in (dict, collections.abc.Mapping):
        count = draws.choice((0, 1, 2, 3))
        return {
            value(inner[0], axes, name, depth + 1): value(inner[1], axes, name, depth + 1)
            for _ in range(count)
        }
    if origin is collections.abc.Callable:
        if name in ("known", "observed"):
            return lambda a, b: torch.zeros(torch.broadcast_shapes(a.shape, b.shape), dtype=torch.bool)
        return lambda *_: value(inner[1], axes, name)
    if inspect.isclass(kind) and kind.__module__.startswith("dhaps_core"):
        return _object(kind, axes, depth)
    if kind is torch.Tensor and name == "pairs":
        return torch.from_numpy(_of_types(["int64"], (axes.size("p"), 2), axes, name))
    if kind is torch.Tensor:
        return torch.from_numpy(_floats((axes.size("n"), axes.size("d")), axes, name))
    raise Unknown(kind)


@cache
def modules() -> tuple[Any, ...]:
    """Every module of the core."""
    names = [info.name for info in pkgutil.walk_packages(dhaps_core.__path__, "dhaps_core.")]
    return tuple(map(importlib.import_module, names))


@cache
def producers() -> dict[type, list[Callable[..., Any]]]:
    """Public functions that return an object of ours, by its type: what they make is sound."""
    found: dict[type, list[Callable[..., Any]]] = {}
    for module in modules():
        for name in getattr(module, "__all__", ()):
            one = getattr(module, name)
            makers = [one] if inspect.isfunction(one) else []
            if inspect.isclass(one):
                makers = [
                    getattr(one, inner) for inner, how in vars(one).items() if isinstance(how, classmethod)
                ]
            for maker in makers:
                try:
                    kind = typing.get_type_hints(maker).get("return")
                except (NameError, TypeError):
                    continue
                if (
                    inspect.isclass(kind)
                    and kind.__module__.startswith("dhaps_core")
                    and maker.__name__[0] != "_"
                ):
                    found.setdefault(kind, []).append(maker)
    return found


def _object(kind: type, axes: Axes, depth: int) -> Any:
    """An object of ours, made by a function of ours or its constructor; of abstract ones, some
    implementation."""
    for maker in axes.draws.sample(producers().get(kind, []), k=len(producers().get(kind, []))):
        for _ in range(4):
            given, named = arguments(maker, axes)
            try:
                return maker(*given, **named)
            except Exception:  # its own call tells what this is worth
                axes.sizes.clear()
    if inspect.isabstract(kind) or getattr(kind, "_is_protocol", False):
        kinds = [one for one in METHODS.values() if _is(one, kind)]
        if not kinds:
            raise Unknown(kind)
        return axes.draws.choice(kinds)()
    known = hints(kind)
    named = {}
    for parameter in inspect.signature(kind).parameters.values():
        if parameter.default is parameter.empty or axes.draws.random() < 0.3:
            annotation = known.get(parameter.name, parameter.annotation)
            named[parameter.name] = value(annotation, axes, parameter.name, depth + 1)
    try:
        made = kind(**named)
    except Exception as error:  # as above
        raise Unknown(kind) from error
    axes.made_up |= dataclasses.is_dataclass(kind)
    return made


def _is(method: type, kind: type) -> bool:
    try:
        return issubclass(method, kind)
    except TypeError:  # a protocol with attributes
        return kind.__name__ == "Method"


def _array(kind: Any, axes: Axes, name: str) -> Any:
    shape = []
    for word in kind.dim_str.split():
        plain = word.lstrip("*#?_").split("=")[-1]
        if plain.isdigit():
            shape.append(int(plain))
        elif plain.isidentifier():
            shape.append(axes.size(plain))
        else:
            shape.append(axes.size("n"))
    made = _of_types(kind.dtypes, tuple(shape), axes, name)
    return torch.from_numpy(made) if "Tensor" in str(kind.array_type) else made


def _of_types(names: Any, shape: tuple[int, ...], axes: Axes, name: str) -> np.ndarray:
    names, draws = [str(one) for one in names], axes.draws
    generator = np.random.default_rng(draws.randrange(2**32))
    if any("float" in one for one in names):
        wide = names == ["float64"] or ("float32" not in names)
        return _floats(shape, axes, name).astype(np.float64 if wide else np.float32)
    if names == ["bool"] or names == ["bool_"]:
        return generator.random(shape) < draws.choice((0.0, 0.3, 1.0))
    if names == ["int8"]:
        return generator.integers(-1, 2, shape, dtype=np.int8)
    if names == ["uint8"]:
        return generator.integers(0, 256, shape, dtype=np.uint8)
    top = max(1, min(axes.sizes.values(), default=5) or 1)
    low, high = draws.choice(((0, top), (0, top), (0, 1)))
    found = generator.integers(low, high, shape)
    return found.astype(np.int32 if names == ["int32"] else np.int64)


def _floats(shape: tuple[int, ...], axes: Axes, name: str) -> np.ndarray:
    draws = axes.draws
    generator = np.random.default_rng(draws.randrange(2**32))
    rows = generator.normal(size=shape)
    kind = draws.randrange(10)
    if kind < 3 or (kind < 7 and any(word in name for word in ("code", "quer", "database", "bits"))):
        rows = np.sign(rows)
    elif kind == 7:
        rows = np.full(shape, draws.choice((0.0, 1.0, -1.0)))
    elif kind == 8 and rows.size:
        rows.flat[draws.randrange(rows.size)] = draws.choice((np.nan, np.inf, -np.inf, 1e38))
    elif kind == 9:
        rows = rows * draws.choice((1e-30, 1e10, 1e30)) + draws.choice((0.0, 100.0))
    return rows.astype(np.float32)


def _rows(inner: tuple[Any, ...], axes: Axes, name: str) -> np.ndarray:
    kinds = typing.get_args(inner[1]) if len(inner) > 1 else ()
    kind = np.dtype(kinds[0]).name if kinds and isinstance(kinds[0], type) else "float32"
    shape = (axes.size("n"),) if kind in ("int64", "bool") else (axes.size("n"), axes.size("d"))
    made = _of_types([kind], shape, axes, name)
    return np.unique(made) if kind == "int64" and axes.draws.random() < 0.5 else made


def _like_an_array(axes: Axes, name: str) -> Any:
    draws, n = axes.draws, axes.size("n")
    if name == "labels":
        options = [[draws.choice("abc") for _ in range(n)], [draws.randrange(3) for _ in range(n)],
                   np.eye(max(1, n))[:n] > 0, [draws.random() for _ in range(n)], [None] * n, [-1] * n,
                   np.zeros((n, 1), int), [[]] * n, np.array(["é", "e\u0301", " a", "A"])[np.arange(n) % 4],
                   3, "abc",
                   np.array([1 + 2j] * n), np.array([2**63] * n, dtype=np.uint64)]  # fmt: skip
        return draws.choice(options)
    rows = _floats((n, axes.size("d")), axes, name)
    return draws.choice([rows, rows, rows.tolist(), rows.astype(np.float64), rows[0] if n else rows,
                         rows.astype(int),
                         [["a"] * 2] * n, [[1, 2], [3]], np.float16(rows), rows.T, rows[:,
                                                                    None]])  # fmt: skip


def _path(axes: Axes) -> Path:
    folder = axes.folder
    (folder / "a.txt").write_text(axes.draws.choice(("", "{}", "[]", "a,b\n1,2\n", "null", "\0")))
    (folder / "empty").mkdir(exist_ok=True)
    return folder / axes.draws.choice(
        ("a.txt", "empty", "missing", "missing/below", "a.txt/below", "new.npz", ".")
    )


def _question(axes: Axes) -> Question:
    key, other = axes.draws.sample(tiny_items().keys, 2)
    if axes.draws.random() < 0.5:
        return Question(f"1.0.{key}", "class", (key,), 0)
    return Question("1.0", "pair", (key, other), 0)


def _grid(axes: Axes) -> Any:
    folder = axes.folder / f"grid-{axes.draws.randrange(10**9)}"
    folder.mkdir()
    return read_grid(finished_sweep(folder, runs=2))


PLAIN: dict[Any, Callable[[Axes], Any]] = {
    int: lambda axes: axes.draws.choice(INTS),
    float: lambda axes: axes.draws.choice(FLOATS),
    bool: lambda axes: axes.draws.random() < 0.5,
    str: lambda axes: axes.draws.choice(TEXTS),
    bytes: lambda axes: axes.draws.randbytes(axes.draws.choice((0, 1, 50))),
    type(None): lambda axes: None,
    object: lambda axes: axes.draws.choice((None, 1, "a", [1])),
    Any: lambda axes: axes.draws.choice((None, 1, 0.5, "a", [1, "a"], {"a": 1})),
    collections.abc.Hashable: lambda axes: axes.draws.choice(("a", "b", 1, None)),
    inspect.Parameter.empty: lambda axes: axes.draws.choice((None, 1, "a")),
    typing.SupportsIndex: lambda axes: axes.draws.choice((1, np.int64(2))),
    Question: _question,
    list: lambda axes: [1, "a"],
    dict: lambda axes: {"a": 1},
    Path: _path,
    torch.Generator: lambda axes: torch.Generator().manual_seed(axes.draws.randrange(99)),
    np.random.Generator: lambda axes: np.random.default_rng(axes.draws.randrange(99)),
    torch.device: lambda axes: torch.device("cpu"),
    torch.nn.Module: lambda axes: torch.nn.Linear(max(1, axes.size("d")), max(1, axes.size("b"))),
    torch.nn.Sequential: lambda axes: torch.nn.Sequential(torch.nn.Linear(max(1, axes.size("d")), 4)),
    Items: lambda axes: tiny_items(),
    Settings: lambda axes: axes.draws.choice((*SETTINGS.values(),)),
    TrainingSettings: lambda axes: TRAINING,
    RunFolder: lambda axes: RunFolder(axes.folder / "run folder"),
    Grid: _grid,
    Backbone: lambda axes: pixels(4),
    Inputs: lambda axes: torch.from_numpy(_floats((axes.size("n"), axes.size("d")), axes, "inputs")),
}  # fmt: skip
