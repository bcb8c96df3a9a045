"""Reader of pickles that hold dicts, lists, texts, numbers and byte arrays, and nothing that a pickle can do.

Python's own unpickler, even with a list of admitted names, lets a file set the insides of NumPy's types (an
offset past the end of a buffer) and ask for memory by the number it names. Here a file is a list of opcodes,
of which those below are known; arrays are read from their bytes, and no function is called on its behalf.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import numpy as np

__all__ = ["read_pickle"]

_MOST_OPCODES = 200_000
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1"}
_PYTHON_2_TEXTS = {"BINSTRING", "SHORT_BINSTRING", "STRING"}
_TEXTS = {"BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "BINBYTES", "SHORT_BINBYTES"}
_NAMES = {
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",
    "__builtin__ bytes": "empty",
}
_DTYPES: dict[str, np.dtype[Any]] = {"u1": np.dtype("u1"), "i8": np.dtype("i8")}
_ORDERS: dict[str, Literal["|", "<", ">"]] = {"|": "|", "<": "<", ">": ">"}


@dataclass
class _Mark:
    """Where a run of values began."""


@dataclass
class _Name:
    """What a pickle may name; it stands for itself and is never called."""

    kind: str


@dataclass
class _DType:
    dtype: np.dtype[Any]


@dataclass
class _Array:
    """An array that its pickle makes first and fills later."""

    value: Any = None


@dataclass
class _Machine:
    """The stack of a pickle and its memo, and how many bytes it may still make of its texts."""

    room: int
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def pop(self) -> Any:
        value = self.stack.pop()
        if type(value) is _Mark:
            raise ValueError("it has a mark in place of a value")
        return value

    def popped(self) -> list[Any]:
        """Everything since the last mark."""
        at = next(i for i in range(len(self.stack) - 1, -1, -1) if isinstance(self.stack[i], _Mark))
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values


def read_pickle(data: bytes) -> Any:
    """The value of a pickle of protocol 0 to 4, as Python 2 or 3 wrote it; texts of Python 2 are bytes.

    Args:
        data: the whole pickle. Reading takes a few times its size in memory.

    Returns:
        dicts with text keys, lists, tuples, texts, bytes, whole numbers, None, bools, and arrays of uint8 and
        int64.

    Raises:
        ValueError: if it is damaged or asks for anything else.

    Example:
        >>> import pickle
        >>> read_pickle(pickle.dumps({"labels": [1, 2]}, protocol=2))
        {'labels': [1, 2]}
    """
    try:
        return _filled(_run(data))
    except (IndexError, KeyError, TypeError, AttributeError, StopIteration, OverflowError) as error:
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error


def _run(data: bytes) -> Any:
    machine, name = _Machine(len(data)), ""
    for opcode, argument, _ in islice(pickletools.genops(data), _MOST_OPCODES):
        name = opcode.name
        _step(machine, name, argument)
    if name != "STOP":
        raise ValueError(f"it has more than {_MOST_OPCODES} steps")
    (value,) = machine.stack
    if type(value) in {_Mark, _Name, _DType}:
        raise ValueError("it holds no value")
    return value


def _step(machine: _Machine, name: str, argument: Any) -> None:
    stack = machine.stack
    if name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in _NUMBERS or name in _TEXTS:
        stack.append(argument)
    elif name in _PYTHON_2_TEXTS:
        stack.append(argument.encode("latin1"))
    elif name in _STEPS:
        _STEPS[name](machine, argument)
    elif name not in {"PROTO", "FRAME", "STOP"}:
        raise ValueError(f"it asks for {name}")


def _get(machine: _Machine, argument: Any) -> None:
    machine.stack.append(machine.memo[int(argument)])


def _put(machine: _Machine, argument: Any) -> None:
    machine.memo[len(machine.memo) if argument is None else int(argument)] = machine.stack[-1]


def _named(machine: _Machine, argument: Any) -> None:
    if argument is None:
        name, module = _text(machine.pop()), _text(machine.pop())
        argument = f"{module} {name}"
    if argument not in _NAMES:
        raise ValueError(f"it asks for {argument[:100]}")
    machine.stack.append(_Name(_NAMES[argument]))


def _append(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not list:
        raise ValueError("it adds to what is no list")
    target += values


def _set(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not dict or len(values) % 2:
        raise ValueError("it sets items of what is no dict")
    keys = values[::2]
    if not all(type(key) in {str, bytes} for key in keys):
        raise ValueError("it has a key that is no text")
    target.update(zip(keys, values[1::2], strict=True))


def _dict(machine: _Machine) -> None:
    values = machine.popped()
    machine.stack.append({})
    _set(machine, values)


def _tuple(machine: _Machine, count: int) -> None:
    values = [machine.pop() for _ in range(count)]
    machine.stack.append(tuple(reversed(values)))


def _reduce(machine: _Machine) -> None:
    arguments, name = machine.pop(), machine.pop()
    if not isinstance(name, _Name) or type(arguments) is not tuple:
        raise ValueError("it calls what is no function")
    if name.kind == "array":
        machine.stack.append(_Array())
    elif name.kind == "dtype":
        code = _text(arguments[0])
        if code not in _DTYPES:
            raise ValueError(f"it has an array of {code[:100]!r}")
        machine.stack.append(_DType(_DTYPES[code]))
    elif name.kind == "encode":
        text, encoding = arguments
        if _text(encoding) != "latin1":
            raise ValueError("it encodes in a way that bytes are not")
        content = _text(text).encode("latin1")
        machine.room -= len(content)
        if machine.room < 0:  # one text many times over
            raise ValueError("it makes more bytes of its texts than it has")
        machine.stack.append(content)
    elif name.kind == "empty" and not arguments:
        machine.stack.append(b"")
    else:
        raise ValueError(f"it calls {name.kind}")


def _build(machine: _Machine) -> None:
    state, target = machine.pop(), machine.stack[-1]
    if type(target) is _DType:
        order = _text(state[1])
        if any(part is not None for part in state[2:5]):
            raise ValueError("it has an array of arrays or of named parts")
        if order not in _ORDERS:
            raise ValueError(f"it has an array of byte order {order[:100]!r}")
        target.dtype = target.dtype.newbyteorder(_ORDERS[order])
    elif type(target) is _Array:
        _, shape, dtype, fortran, content = state
        target.value = _array(shape, dtype, fortran, content)
    else:
        raise ValueError("it sets the state of what has none")


def _array(shape: Any, dtype: Any, fortran: Any, content: Any) -> Any:
    if type(shape) is not tuple or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("it has an array without a shape")
    if type(dtype) is not _DType or type(content) is not bytes or len(shape) > 2:
        raise ValueError("it has an array that is none")
    if math.prod(shape) * dtype.dtype.itemsize != len(content):
        raise ValueError(f"it has an array of {shape} {dtype.dtype} in {len(content)} bytes")
    return np.frombuffer(content, dtype.dtype).reshape(shape, order="F" if fortran else "C")


def _text(value: Any) -> str:
    """A text; nothing else is compared, hashed or shown: tuples of one tuple twice, nested, never end."""
    if type(value) is bytes:
        return value.decode()
    if type(value) is not str:
        raise ValueError(f"it has a {type(value).__name__} in place of a text")
    return value


def _filled(value: Any) -> Any:
    """A value with its arrays, at the top and one level below: where a batch has them."""
    if type(value) is dict:
        return {key: inner.value if isinstance(inner, _Array) else inner for key, inner in value.items()}
    return value.value if isinstance(value, _Array) else value


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda machine, _: machine.stack.append(_Mark()),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "DICT": lambda machine, _: _dict(machine),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "LIST": lambda machine, _: machine.stack.append(machine.popped()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.popped())),
    "TUPLE1": lambda machine, _: _tuple(machine, 1),
    "TUPLE2": lambda machine, _: _tuple(machine, 2),
    "TUPLE3": lambda machine, _: _tuple(machine, 3),
    "APPEND": lambda machine, _: _append(machine, [machine.pop()]),
    "APPENDS": lambda machine, _: _append(machine, machine.popped()),
    "SETITEM": lambda machine, _: _set(machine, [machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: _set(machine, machine.popped()),
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _put,
    "GLOBAL": _named,
    "STACK_GLOBAL": _named,
    "REDUCE": lambda machine, _: _reduce(machine),
    "BUILD": lambda machine, _: _build(machine),
}
