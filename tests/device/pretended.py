"""A device that is not there: tensors say they lie on it, compute on the CPU, and refuse what CUDA refuses.

``with pretended():`` in a thread, ``device="pretended"`` names it. A tensor made there, or moved there, is a
:class:`There`. An operation with tensors of both sides raises :class:`Mixed`, as it would with a GPU, but for
what a GPU lets pass: CPU scalars (0-dimensional tensors) and CPU positions in an index. A CPU generator draws
nothing there. `.numpy()` raises; values come back by `.cpu()`, `.item()` or `.tolist()`. Numbers are real, so
whole rounds run, and their picks can be compared.

It says nothing about speed, memory, or the rounding of another card.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["Mixed", "There", "moved", "pretended", "register"]

NAME = "pretended"
POSITIONS = (torch.int64, torch.int32, torch.bool, torch.uint8)
_moves: list[str] = []


class Mixed(RuntimeError):
    """Tensors of the CPU and of the device met in one operation."""


class There(torch.Tensor):
    """A tensor on the device; its numbers are in ``numbers``, a CPU tensor."""

    numbers: torch.Tensor

    @staticmethod
    def __new__(cls, numbers: torch.Tensor) -> "There":
        made: There = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            numbers.shape,
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=torch.device(NAME, 0),
            requires_grad=numbers.requires_grad,
        )
        made.numbers = numbers
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __repr__(self, **_: Any) -> str:
        return f"There({self.numbers!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Factories(TorchDispatchMode):
    """Makes tensors on the device, and moves them there: no :class:`There` is among what they are made of."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Front(TorchFunctionMode):
    """What torch does before it asks any subclass: numbers to a device, and to lists."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if (
            func in (torch.tensor, torch.as_tensor)
            and device is not None
            and torch.device(device).type == NAME
        ):
            return func(*args, **{**kwargs, "device": None}).to(device)
        if func is torch.Tensor.new_tensor and isinstance(args[0], There):
            like = {"dtype": args[0].dtype, **kwargs}
            return torch.tensor(*args[1:], **like).to(args[0].device)
        if func is torch.Tensor.__getitem__ and isinstance(args[1], list):
            return args[0][torch.tensor(args[1])]
        if func is torch.Tensor.tolist and isinstance(args[0], There):
            return args[0].numbers.tolist()
        return func(*args, **kwargs)


@contextmanager
def pretended() -> Iterator[None]:
    """The device is there, in this thread, as long as the block lasts."""
    register()
    with _Front(), _Factories():
        yield


@contextmanager
def moved() -> Iterator[list[str]]:
    """What goes to the device and back while the block lasts, an operation and its shape each."""
    _moves.clear()
    yield _moves


@cache
def register() -> None:
    """Tell torch of the device: before the first backward pass of the process, which counts the devices."""
    backend_registration._setup_privateuseone_for_python_backend(NAME)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    leaves = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    there = [one for one in leaves if isinstance(one, There)]
    name = func._schema.name.removeprefix("aten::")
    device = kwargs.get("device")
    target = None if device is None else torch.device(device).type
    if not there and target != NAME:
        return func(*args, **kwargs)
    if kwargs.get("generator") is not None or any(
        isinstance(one, torch.Generator) for one in tree_leaves(args)
    ):
        raise RuntimeError(f"Expected a '{NAME}' device type for generator but found 'cpu' in {name}")
    moves = name in {"_to_copy", "copy_", "_copy_from"}
    if not moves:
        _refuse_mixed(name, leaves, args)
    elif any(one.ndim for one in leaves):
        _moves.append(f"{name} {[tuple(one.shape) for one in leaves]}")
    if target == NAME:
        kwargs = kwargs | {"device": torch.device("cpu")}
    out = func(*tree_map(_numbers, args), **tree_map(_numbers, kwargs))
    if name == "_to_copy" and target == "cpu":
        return out
    if name == "copy_":
        return args[0]
    wrapped = tree_map(_there, out)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if there else wrapped


def _refuse_mixed(name: str, leaves: list[torch.Tensor], args: Any) -> None:
    here = [one for one in leaves if not isinstance(one, There) and one.ndim]
    if name in {"index.Tensor", "index", "index_put", "index_put_", "_index_put_impl_"}:
        positions = tree_leaves(args[1])
        here = [one for one in here if not any(one is at for at in positions) or one.dtype not in POSITIONS]
    if here:
        shapes = ", ".join(
            f"{'here' if not isinstance(one, There) else 'there'} {tuple(one.shape)}" for one in leaves
        )
        raise Mixed(f"{name} must have its tensors on one device; got {shapes}")


def _numbers(one: Any) -> Any:
    return one.numbers if isinstance(one, There) else one


def _there(one: Any) -> Any:
    return There(one) if isinstance(one, torch.Tensor) and not isinstance(one, There) else one
