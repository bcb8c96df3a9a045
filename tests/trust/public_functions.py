"""Every public function and class of the core, called with generated arguments."""

import importlib
import inspect
import re
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from .case import Attack, Case, Hang
from .given import undocumented
from .values import WRONG, Axes, Unknown, arguments, modules, producers, value

__all__ = ["ATTACK"]

MEMORY = 1 << 30  # bytes
SECONDS = 5.0
GRAVE = (
    "hangs",
    "MemoryError",
    "RecursionError",
    "SystemError",
    "RuntimeError: [enforce fail",
    "RuntimeError: bad",
)
ROOT = Path(__file__).parents[2]
# They start processes or clusters, measure for minutes, or load a network; other tests call them.
APART = {
    "dhaps_core.sweeps.sweep", "dhaps_core.sweeps.cluster", "dhaps_core.sweeps.run.run_cell",
    "dhaps_core.benchmarks.cases", "dhaps_core.benchmarks.peers",
    "dhaps_core.benchmarks.sessions", "dhaps_core.benchmarks.measuring",
    "dhaps_core.hashing.backbones.efficientnet_lite0", "dhaps_core.hashing.image_networks.FineTuned",
    "dhaps_core.sweeps.marker.watch",
}  # fmt: skip
# What people hand things to: also a value of a wrong type is refused in words there.
DOORS = {
    "Settings", "TrainingSettings", "Weights", "Answer.given", "LabelStore.add", "Items",
    "arrays", "digits", "image_folder", "list_files", "open_items", "HammingIndex", "HammingIndex.search",
    "HammingIndex.within", "hold_out", "read_csv", "to_rgb8", "cifar10", "read_grid",
}  # fmt: skip


TURNS = {"rounds", "rotations"}  # so many are made, however long it takes


@cache
def publics() -> dict[str, dict[str, Callable[..., Any]]]:
    """Public functions, classes and their public methods, by module."""
    found: dict[str, dict[str, Callable[..., Any]]] = {}
    for module in modules():
        for name in getattr(module, "__all__", ()):
            one = getattr(module, name)
            if (
                getattr(one, "__module__", "") != module.__name__
                or {module.__name__, f"{module.__name__}.{name}"} & APART
            ):
                continue
            if inspect.isclass(one) and not issubclass(one, BaseException) and not _abstract(one):
                found.setdefault(module.__name__, {})
                if one not in producers() or name in front():
                    found[module.__name__][name] = one
                for method, function in vars(one).items():
                    if not method.startswith("_") and isinstance(function, classmethod | staticmethod):
                        found[module.__name__][f"{name}.{method}"] = getattr(one, method)
                    elif not method.startswith("_") and inspect.isfunction(function):
                        found[module.__name__][f"{name}.{method}"] = function
            elif inspect.isfunction(one):
                found.setdefault(module.__name__, {})[name] = one
    return found


def _abstract(kind: type) -> bool:
    return inspect.isabstract(kind) or getattr(kind, "_is_protocol", False)


@cache
def front() -> frozenset[str]:
    """Names that notebooks and pages import: what people call. The rest is called by our own code."""
    names: set[str] = set()
    for page in (*ROOT.glob("notebooks/*.ipynb"), ROOT / "README.md", *ROOT.glob("docs/*.md")):
        text = page.read_text(encoding="utf-8").replace("\\n", "\n")
        for imported in re.findall(r"from dhaps_core[.\w]* import ([\w, ]+)", text):
            names |= {name.strip() for name in imported.split(",")}
    return frozenset(names | {name.partition(".")[0] for name in DOORS})


def cases(_: bool) -> list[str]:
    return sorted(publics())


def play(case: Case) -> None:
    module = case.name
    functions = publics()[module]
    warnings.simplefilter("ignore")
    case.bound_memory(MEMORY)
    seen: dict[tuple[str, str], int] = {}
    called: set[str] = set()
    others: set[str] = set()
    per_function = 3 if case.short else 60
    for i, draws in case.each(per_function * len(functions)):
        name = sorted(functions)[i % len(functions)]
        wrong_type = i // len(functions) % 4 == 1
        folder = case.folder / f"call {i}"
        folder.mkdir()
        axes = Axes(draws, folder)
        wrong, what = _call(case, i, module, name, functions, wrong_type, axes)
        inside = axes.made_up or name.partition(".")[0] not in front()
        called |= {name} if what else set()
        if wrong and inside and not wrong.startswith(GRAVE):
            others.add(name)
        elif wrong:
            kind = wrong.split(":")[0]
            seen[name, kind] = seen.get((name, kind), 0) + 1
            if seen[name, kind] == 1:
                case.fault(f"{module}.{name}: {wrong} | {what}", i)
    case.note(
        "functions inside the core, on no page, that answer some odd argument with PyTorch's own exception",
        len(others),
    )
    if case.only is None:
        case.note("functions never called for want of arguments", len(set(functions) - called))


def _call(
    case: Case,
    i: int,
    module: str,
    name: str,
    functions: dict[str, Callable[..., Any]],
    wrong_type: bool,
    axes: Axes,
) -> tuple[str | None, str]:
    """What was wrong with a call, and what was given; nothing given if there was no call."""
    function = functions[name]
    owner = getattr(importlib.import_module(module), name.partition(".")[0])
    for _ in range(20):
        try:
            given, named = arguments(function, axes)
            bound = (
                "." in name
                and not inspect.ismethod(function)
                and "self" in inspect.signature(function).parameters
            )
            if bound:
                with case.within(SECONDS):
                    given.insert(0, value(owner, axes))
            break
        except Unknown:
            axes.sizes.clear()
            axes.made_up = False
        except (Exception, Hang):  # the constructor's own calls tell what this is worth
            axes.sizes.clear()
            axes.made_up = False
    else:
        return None, ""
    if wrong_type and named:
        changed = axes.draws.choice(sorted(named))
        named[changed] = axes.draws.choice(
            [one for one in WRONG if changed not in TURNS or not isinstance(one, int)]
        )
    what = _shown(given[bound:], named)
    case.at(f"#{i} {name}({what})")
    case.tried += 1
    try:
        with case.within(SECONDS):
            result = function(*given, **named)
            if inspect.isgenerator(result):
                for _, _ in zip(range(100), result, strict=False):
                    pass
    except (Exception, Hang) as error:
        return _judged(error, function, owner, name, wrong_type), what
    return None, what


def _judged(error: BaseException, function: Any, owner: Any, name: str, wrong_type: bool) -> str | None:
    """Why an exception of a call is a fault, or None."""
    kind, text = type(error).__name__, " ".join(str(error).split())[:160]
    if isinstance(error, Hang):
        return f"hangs: {text}"
    if isinstance(error, MemoryError | RecursionError | SystemError) or "allocate memory" in text:
        return f"{kind}: {text}"
    if wrong_type and name not in DOORS:
        return None
    if wrong_type and isinstance(error, TypeError | ValueError):
        return None
    documents = "\n".join(filter(None, (inspect.getdoc(function), inspect.getdoc(owner))))
    names = set(re.findall(r"^ +([\w.]+(?:, [\w.]+)*):", documents.partition("Raises:")[2], re.MULTILINE))
    documented = {one.rpartition(".")[2] for line in names for one in line.split(", ")}
    if documented & {base.__name__ for base in type(error).__mro__}:
        return None
    if isinstance(error, OSError) and error.filename:
        return None  # a path that is not what it should be, named
    wrong = undocumented(error)
    return None if wrong is None else f"{'wrong type, ' if wrong_type else ''}{kind}: {text}"


def _shown(given: list[Any], named: dict[str, Any]) -> str:
    def short(one: Any) -> str:
        if hasattr(one, "shape"):
            return f"{type(one).__name__}{list(one.shape)}"
        return repr(one)[:60]

    return ", ".join([*map(short, given), *(f"{name}={short(one)}" for name, one in named.items())])[:400]


ATTACK = Attack(
    name="public_functions",
    promise="Every function that a notebook or page names raises what it documents or a plain ValueError in "
    "words; every public function ends, takes no more than 1 GiB for small arguments and never crashes, and "
    "the doors refuse wrong types in words",
    how="every function, class and method that a module of dhaps_core lists in __all__ is called with "
    "generated arguments: of the annotated types with axes that agree, sensible, empty, not finite, huge; "
    "every fourth time with one argument of a wrong type",
    found="Before: no crash and no hang; some functions that pages name raised TypeError or "
    "FileNotFoundError of Python's own on empty arguments or before the first round",
    unit="calls",
    cases=cases,
    play=play,
    prepare=publics,
    limit=300,
)
