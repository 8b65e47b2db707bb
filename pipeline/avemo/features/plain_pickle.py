"""Pickles of arrays, lists, dictionaries and texts, read without running anything that is in them.

A pickle is a program: it names functions, and `pickle.load` calls them. Here every name but the few with which NumPy writes its
arrays is refused, and those are answered by functions of this file. NumPy's own are never called, as an array's state can be
forged too.
"""

from __future__ import annotations

import math
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from avemo.base.contracts import AvemoError

PLAIN = (str, bytes, bool, int, float, type(None))
KIND = re.compile(r"^[<>|=]?(b1|[iu][1248]|f[248]|[SU][1-9]\d{0,5}|O8?)$")
"""Types of array elements: numbers, texts, and objects, which are held to the same rules."""
LAST_CHARACTER = sys.maxunicode
BITS = 64
"""Of an integer, at most: Python refuses to print some that a pickle can hold."""


def read_plain_pickle(path: Path) -> Any:
    """What a pickle holds, of dictionaries, lists (tuples come as lists), texts, numbers and NumPy arrays.

    Arrays share the memory of what was read, and cannot be written to. Raises `AvemoError` that names what else there is.
    """
    if path.exists() and not path.is_file():  # a pipe would keep us waiting
        raise AvemoError(f"{path}: expected a pickle, found a folder or a device; correct the path")
    try:
        with path.open("rb") as file:
            return _plain(_Reader(file, encoding="latin1").load(), {})
    except _Refused as refused:
        raise AvemoError(
            f"{path}: expected a pickle of arrays, lists, dictionaries and texts alone, found {refused}; none of it was "
            "run. Where you trust it, open it in Python yourself and write its arrays with numpy.savez"
        ) from None
    except OSError as error:
        raise AvemoError(
            f"{path}: expected a pickle, found nothing to read: {error.strerror}; correct the path"
        ) from error
    except Exception as error:  # a damaged pickle may raise anything
        raise AvemoError(
            f"{path}: expected a pickle, found {type(error).__name__}: {str(error)[:200]}; fetch it again"
        ) from error


class _Refused(Exception):
    """Something that is neither an array nor plain."""


class _Called:
    """A function that a pickle may call. It has no attribute that a pickle could set."""

    __slots__ = ("function",)
    function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]):
        object.__setattr__(self, "function", function)

    def __setattr__(self, name: str, _: object) -> None:
        raise _Refused(f"a function with an attribute {name[:50]!r} of its own")

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


class _Reader(pickle.Unpickler):
    """Knows the names under which NumPy 1 and 2 write arrays, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        known = module.replace("numpy._core.", "numpy.core."), name
        if known not in ANSWERS:
            raise _Refused(f"{module}.{name}"[:200])
        answer = ANSWERS[known]
        return _Called(answer) if callable(answer) else answer


class _Type:
    """An array's element type, of the pieces in which NumPy writes it."""

    __slots__ = ("kind", "order")

    def __init__(self, kind: Any, *_: Any):
        if not isinstance(kind, str) or not KIND.match(kind):
            raise _Refused(f"an array of {str(kind)[:50]!r}")
        self.kind: str = kind
        self.order: Literal["", "<", ">"] = ""

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if state[1] in ("<", ">") else ""
        if any(part is not None for part in state[2:5]):
            raise _Refused("an array of records")

    @property
    def dtype(self) -> np.dtype:
        found = np.dtype(self.kind)
        return found.newbyteorder(self.order) if self.order else found


class _Array:
    """An array, of the pieces in which NumPy writes it."""

    __slots__ = ("fortran", "raw", "shape", "type")

    def __init__(self, *_: Any):
        self.__setstate__((0, (0,), _Type("b1"), False, b""))

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.type, self.fortran, self.raw = state


def _of_buffer(raw: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> Any:
    """As NumPy writes arrays since protocol 5."""
    if axes is not None:
        raise _Refused("an array of reordered axes")
    made = _Array()
    made.__setstate__((0, shape, kind, order == "F", raw))
    return made


def _scalar(kind: Any, raw: Any = b"") -> Any:
    return _filled((), kind, raw, False).item()


def _encoded(text: str, encoding: str) -> bytes:
    """How old protocols write bytes."""
    if encoding != "latin1":
        raise _Refused(f"bytes in {encoding!r}"[:100])
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How old protocols write no bytes."""
    return b""


ANSWERS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _of_buffer,
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
}
"""By module and name: what stands in for it. The class is only ever handed on."""


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    """Dictionaries, lists and arrays all the way down, each once; raises `_Refused` for anything else."""
    if isinstance(value, int) and value.bit_length() > BITS:
        raise _Refused(f"an integer of {value.bit_length()} bits")
    if isinstance(value, PLAIN):
        return value
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, dict):
        made = seen[id(value)] = {}
        for key, inner in value.items():
            if not isinstance(key, str | int):
                raise _Refused(f"a dictionary with keys of type {type(key).__name__}")
            made[_plain(key, seen)] = _plain(inner, seen)
        return made
    if isinstance(value, list | tuple):
        items = seen[id(value)] = []
        items.extend(_plain(inner, seen) for inner in value)
        return items
    if isinstance(value, _Array):
        array = seen[id(value)] = _filled(value.shape, value.type, value.raw, value.fortran)
        if array.dtype.kind == "O":
            for place, inner in enumerate(array.flat):
                array.flat[place] = _plain(inner, seen)
        return array
    raise _Refused(f"an object of type {type(value).__name__.strip('_')}")


def _filled(shape: Any, kind: Any, raw: Any, fortran: Any) -> np.ndarray:
    """The array of its pieces, which must fit each other."""
    if not isinstance(kind, _Type) or not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        raise _Refused("an array of pieces that are none")
    dtype = kind.dtype
    order: Literal["F", "C"] = "F" if fortran else "C"
    if dtype.kind == "O":
        if not isinstance(raw, list) or len(raw) != math.prod(shape):
            raise _Refused("an array of objects that does not list them")
        array = np.empty(len(raw), object)
        array[:] = raw
        return array.reshape(shape, order=order)
    if isinstance(raw, str):  # written by Python 2
        raw = raw.encode("latin1")
    if (
        not isinstance(raw, bytes | bytearray)
        or len(raw) != math.prod(shape) * dtype.itemsize
        or min(shape, default=0) < 0
    ):
        raise _Refused(f"an array of shape {str(shape)[:50]} with other bytes")
    if not len(raw):
        return np.empty(shape, dtype)
    if dtype.kind == "U":
        codes = np.frombuffer(raw, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if codes.max() > LAST_CHARACTER:
            raise _Refused("texts of characters that are none")
    return np.frombuffer(raw, dtype).reshape(shape, order=order)
