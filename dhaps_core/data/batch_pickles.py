"""Reader of pickles that hold dicts, lists, texts, numbers and byte arrays, and nothing that a pickle can do.

Python's own unpickler, even with a list of admitted names, lets a file set the insides of NumPy's types (an
offset past the end of a buffer) and ask for memory by the number it names. Here a file is a list of opcodes,
of which those below are known; arrays are read from their bytes, and no function is called on its behalf.
"""

import math
import pickletools
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

__all__ = ["read_pickle"]

_MOST_OPCODES = 200_000
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
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
_MARK = object()
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


def read_pickle(data: bytes) -> Any:
    """The value of a pickle of protocol 0 to 4, as Python 2 or 3 wrote it; texts of Python 2 are bytes.

    Reading takes a few times the size of the pickle in memory.

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
        value = _Machine(data).run()
        if type(value) is dict:  # a batch has its arrays one level below
            return {key: _filled(inner) for key, inner in value.items()}
        return _filled(value)
    except (IndexError, KeyError, TypeError, AttributeError, StopIteration, OverflowError) as error:
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error


class _Machine:
    """The stack of a pickle and its memo, and how many bytes it may still make of its texts."""

    def __init__(self, data: bytes) -> None:
        self.data, self.room = data, len(data)
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        name = ""
        for opcode, argument, _ in islice(pickletools.genops(self.data), _MOST_OPCODES):
            name = opcode.name
            self.step(name, argument)
        if name != "STOP":
            raise ValueError(f"it has more than {_MOST_OPCODES} steps")
        (value,) = self.stack
        if value is _MARK or type(value) in {_Name, _DType}:
            raise ValueError("it holds no value")
        return value

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                stack.append(_MARK)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append(_CONSTANTS[name])
            case "BININT" | "BININT1" | "BININT2" | "INT" | "LONG" | "LONG1":
                stack.append(argument)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "UNICODE" | "BINBYTES" | "SHORT_BINBYTES":
                stack.append(argument)
            case "BINSTRING" | "SHORT_BINSTRING" | "STRING":  # texts of Python 2
                stack.append(argument.encode("latin1"))
            case "EMPTY_LIST":
                stack.append([])
            case "LIST":
                stack.append(self.popped())
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(self.popped()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple([self.pop() for _ in range(int(name[-1]))][::-1]))
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                values = self.popped()
                stack.append({})
                self.set_items(values)
            case "APPEND":
                self.extend([self.pop()])
            case "APPENDS":
                self.extend(self.popped())
            case "SETITEM":
                self.set_items([self.pop(), self.pop()][::-1])
            case "SETITEMS":
                self.set_items(self.popped())
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[int(argument)])
            case "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self.memo[len(self.memo) if argument is None else int(argument)] = stack[-1]
            case "GLOBAL":
                stack.append(_named(argument))
            case "STACK_GLOBAL":
                inner, module = _text(self.pop()), _text(self.pop())
                stack.append(_named(f"{module} {inner}"))
            case "REDUCE":
                arguments, called = self.pop(), self.pop()
                stack.append(self.made(called, arguments))
            case "BUILD":
                state = self.pop()
                _set_state(stack[-1], state)
            case _:
                raise ValueError(f"it asks for {name}")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("it has a mark in place of a value")
        return value

    def popped(self) -> list[Any]:
        """Everything since the last mark."""
        at = next(i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is _MARK)
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("it adds to what is no list")
        self.stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        target, keys = self.stack[-1], values[::2]
        if type(target) is not dict or len(values) % 2:
            raise ValueError("it sets items of what is no dict")
        if not all(type(key) in {str, bytes} for key in keys):
            raise ValueError("it has a key that is no text")
        target.update(zip(keys, values[1::2], strict=True))

    def made(self, called: Any, arguments: Any) -> Any:
        """What a call of one of the names stands for."""
        if type(called) is not _Name or type(arguments) is not tuple:
            raise ValueError("it calls what is no function")
        if called.kind == "array":
            return _Array()
        if called.kind == "dtype":
            code = _text(arguments[0])
            if code not in _DTYPES:
                raise ValueError(f"it has an array of {code[:100]!r}")
            return _DType(_DTYPES[code])
        if called.kind == "encode":
            text, encoding = arguments
            if _text(encoding) != "latin1":
                raise ValueError("it encodes in a way that bytes are not")
            content = _text(text).encode("latin1")
            self.room -= len(content)
            if self.room < 0:  # one text many times over
                raise ValueError("it makes more bytes of its texts than it has")
            return content
        if called.kind == "empty" and not arguments:
            return b""
        raise ValueError(f"it calls {called.kind}")


def _named(name: str) -> _Name:
    if name not in _NAMES:
        raise ValueError(f"it asks for {name[:100]}")
    return _Name(_NAMES[name])


def _set_state(target: Any, state: Any) -> None:
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
    return value.value if type(value) is _Array else value
