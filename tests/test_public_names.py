"""Every public name says what it is, with shapes: in the signature, or where a type has none, in words."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for package in ("dhaps_core", "widgets") for path in (ROOT / package).rglob("*.py"))
SHAPED = re.compile(r"\[[a-z0-9]+( [a-z0-9]+)*\]|scalar|one number|shapes?\b")
BY_CONTRACT = {"loss"}  # of every method, as Objective.loss says it once
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def public(tree):
    """What ``__all__`` names, and the public methods of its classes, each with the class it is in."""
    [names] = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ] or [[]]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
            yield node, None
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    yield inner, node


def bare_arrays(annotation):
    """Tensors and arrays of an annotation whose axes are not named: ``Float[Tensor, "n d"]`` names them."""
    if annotation is None:
        return []
    named = {
        id(inner)
        for node in ast.walk(annotation)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Tuple)
        and isinstance(node.slice.elts[-1], ast.Constant)
        and isinstance(node.slice.elts[-1].value, str)
        for inner in ast.walk(node)
    }
    return [
        node
        for node in ast.walk(annotation)
        if id(node) not in named
        and (getattr(node, "id", "") == "Tensor" or getattr(node, "attr", "") in {"ndarray", "NDArray"})
    ]


@every_file
def test_a_file_says_what_it_has_and_which_names_are_public(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if any(not node.name.startswith("_") for node in defined) and path.stem != "__main__":
        assert "__all__" in path.read_text(encoding="utf-8")


@every_file
def test_a_public_name_has_a_docstring_and_its_arrays_have_shapes(path):
    untold, shapeless = [], []
    for node, within in public(ast.parse(path.read_text(encoding="utf-8"))):
        name, told = f"{within.name}.{node.name}" if within else node.name, ast.get_docstring(node) or ""
        if not told:
            untold.append(name)
        if isinstance(node, ast.ClassDef):
            arrays = [inner.annotation for inner in node.body if isinstance(inner, ast.AnnAssign)]
        else:
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            arrays = [node.returns, *(one.annotation for one in given)]
        bare = any(bare_arrays(one) for one in arrays)
        if bare and not SHAPED.search(told) and node.name not in BY_CONTRACT:
            shapeless.append(name)
    assert not untold
    assert not shapeless
