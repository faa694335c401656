"""The forms in which numpy pickles arrays, types and numbers. Each is checked before numpy sees anything of it.

Numbers lie in bytes that nothing can change, so that an array is a read-only view of them; objects are copied from
their list.
"""

import functools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_PLAIN_TYPE = re.compile(r"([<>=|]?)(\?|[biuf]\d+|[SU]\d*|O8?)")
_ORDERS = ("<", ">", "=", "|")
_LAST_CHARACTER = 0x10FFFF
_LONGEST_TEXT = 1 << 24  # bytes of one place in an array of text


class RefusedError(Exception):
    """Why a pickle is not read.

    Args:
        reason: goes on after "a pickle".
        mend: what the user can do.
    """

    def __init__(self, reason: str, mend: str = "get or build it again") -> None:
        super().__init__(reason)
        self.mend = mend


class Budget:
    """How much room a pickle may still take beyond its own size.

    Args:
        size: bytes of the pickle.
    """

    __slots__ = ("left",)

    def __init__(self, size: int) -> None:
        self.left = 16 * size + (1 << 20)

    def spend(self, count: int) -> None:
        """Takes `count` bytes.

        Raises:
            RefusedError: where there are not as many.
        """
        self.left -= count
        if self.left < 0:
            raise RefusedError("grows far beyond its size where it is unpickled")


class Name:
    """A function or class that a pickle names: the only things that it can call, and it cannot change them.

    Args:
        function: takes the budget of the pickle and the arguments.
        budget: of the pickle.
    """

    __slots__ = ("_budget", "function")

    def __init__(self, function: Callable[..., Any], budget: Budget) -> None:
        self.function, self._budget = function, budget

    def __call__(self, *arguments: Any) -> Any:
        return self.function(self._budget, *arguments)

    def __setstate__(self, state: Any) -> None:
        raise RefusedError("tries to change a function")


class Pending:
    """An array or a type whose state has not come yet. It comes once.

    Attributes:
        budget: of the pickle.
        value: what came of it.
        places: in the memo.
    """

    __slots__ = ("budget", "places", "value")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.value: Any = None
        self.places: list[int] = []

    def __setstate__(self, state: Any) -> None:
        raise NotImplementedError


@functools.lru_cache(maxsize=256)
def plain_dtype(name: Any) -> np.dtype:
    """A type of numbers, text, bytes or objects; of text and bytes also without a length, which comes later.

    Raises:
        RefusedError: for anything else.
    """
    match = _PLAIN_TYPE.fullmatch(name) if isinstance(name, str) else None
    if match is None or len(name) > 16:
        raise RefusedError(f"holds an array of type {str(name)[:40]!r}, which no feature record needs")
    try:
        dtype = np.dtype(name)
    except TypeError:
        raise RefusedError(f"holds an array of type {name!r}, which there is not") from None
    if dtype.itemsize > _LONGEST_TEXT:
        raise RefusedError(f"holds an array of type {name!r}, which no feature record needs")
    return dtype


def check_text(array: np.ndarray) -> None:
    """Refuses an array of text with numbers that are no characters: Python cannot make strings of it.

    Raises:
        RefusedError: where there is one.
    """
    if array.dtype.kind == "U" and array.size:
        codes = np.frombuffer(array.tobytes(), np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if codes.max() > _LAST_CHARACTER:
            raise RefusedError("holds an array of text with numbers that are no characters")


class _PendingType(Pending):
    __slots__ = ("name",)

    def __init__(self, budget: Budget, name: str, align: Any = False, copy: Any = False) -> None:
        super().__init__(budget)
        if type(name) is not str:
            raise RefusedError("holds a type whose name is no text")
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Takes (version, byte order, subarray, names, fields, bytes, alignment, flags, ...)."""
        if self.value is not None:
            raise RefusedError("changes what is made already")
        if type(state) is not tuple or not 8 <= len(state) <= 9 or type(state[1]) is not str:
            raise RefusedError("holds a type whose state is none")
        if state[2:5] != (None, None, None) or state[8:] not in ((), (None,)):
            raise RefusedError("holds an array with named fields or dates, which no feature record needs")
        self.value = _complete(self.name, state[1], state[5])


@functools.lru_cache(maxsize=256)
def _complete(name: str, order: str, length: Any) -> np.dtype:
    plain = plain_dtype(name)
    if order not in _ORDERS:
        raise RefusedError("holds a type whose state is none")
    if plain.kind in "SU":
        width = 4 if plain.kind == "U" else 1
        if type(length) is not int or not 0 < length <= _LONGEST_TEXT or length % width:
            raise RefusedError("holds an array of text of no length")
        plain = np.dtype(f"{plain.kind}{length // width}")
    return plain.newbyteorder(order)  # type: ignore[arg-type]  # one of _ORDERS


def _shape(value: Any) -> tuple[int, ...]:
    sides = value if type(value) is tuple else (value,)
    for side in sides:
        if type(side) is not int or side < 0:
            raise RefusedError("holds an array whose shape is none")
    return sides


def _numbers(budget: Budget, data: Any, dtype: Any, shape: Any, fortran: bool) -> np.ndarray:
    """An array of anything but objects, over its bytes."""
    if isinstance(dtype, Pending):
        dtype = dtype.value
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not dtype.itemsize:
        raise RefusedError("holds an array whose values do not fit its type")
    sides = _shape(shape)
    if type(data) is str:  # bytes of Python 2, which are read as latin1
        budget.spend(len(data))
        data = data.encode("latin1")
    elif type(data) is bytearray:
        budget.spend(len(data))
        data = bytes(data)
    if type(data) is not bytes or len(data) != math.prod(sides) * dtype.itemsize:
        raise RefusedError("holds an array whose values do not fit its shape")
    array = np.ndarray(sides, dtype, data, order="F" if fortran else "C")
    if dtype.kind == "U":
        check_text(array)
    return array


class _PendingArray(Pending):
    __slots__ = ()

    def __init__(self, budget: Budget, subtype: Any, shape: Any, dtype: Any) -> None:
        super().__init__(budget)
        if type(subtype) is not Name or subtype.function is not _ndarray:
            raise RefusedError("holds a kind of array that is not numpy's own")

    def __setstate__(self, state: Any) -> None:
        """Takes (version, shape, type, whether columns come first, values)."""
        if self.value is not None:
            raise RefusedError("changes what is made already")
        if type(state) is not tuple or not 4 <= len(state) <= 5 or type(state[-2]) not in (bool, int):
            raise RefusedError("holds an array whose state is none")
        shape, dtype, fortran, values = state[-4:]
        if type(values) is list:
            self.value = _objects(self.budget, values, dtype, shape, fortran)
        else:
            self.value = _numbers(self.budget, values, dtype, shape, fortran)


def _objects(budget: Budget, values: list[Any], dtype: Any, shape: Any, fortran: bool) -> np.ndarray:
    """An array of objects, copied from their list."""
    if isinstance(dtype, Pending):
        dtype = dtype.value
    sides = _shape(shape)
    if not isinstance(dtype, np.dtype) or not dtype.hasobject or math.prod(sides) != len(values):
        raise RefusedError("holds an array whose values do not fit its type or shape")
    budget.spend(8 * len(values))
    flat = np.empty(len(values), object)
    for place, value in enumerate(values):  # numpy would look for arrays within a list
        flat[place] = value.value if isinstance(value, Pending) else value
    return flat.reshape(sides, order="F" if fortran else "C")


def _ndarray(budget: Budget, shape: Any, dtype: Any, data: Any) -> np.ndarray:
    return _numbers(budget, data, plain_dtype(dtype) if type(dtype) is str else dtype, shape, False)


def _from_buffer(budget: Budget, data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    if order not in ("C", "F", "K") or (axes is not None and sorted(_shape(axes)) != list(range(len(_shape(shape))))):
        raise RefusedError("holds an array in an order that is none")
    array = _numbers(budget, data, dtype, shape, order == "F")
    return array if axes is None else array.transpose(axes)


def _scalar(budget: Budget, dtype: Any, data: Any) -> Any:
    return _numbers(budget, data, dtype, (), False)[()]


def _encode(budget: Budget, text: Any, encoding: Any) -> bytes:
    """What protocol 2 calls to build bytes; any other codec is refused."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise RefusedError(f"asks for the codec '{str(encoding)[:40]}', which no feature record needs")
    budget.spend(len(text))
    return text.encode("latin1")


def _empty_bytes(budget: Budget) -> bytes:
    return b""


def _functions() -> dict[tuple[str, str], Callable[..., Any]]:
    table: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): _ndarray,
        ("numpy", "dtype"): _PendingType,
        ("_codecs", "encode"): _encode,
        ("__builtin__", "bytes"): _empty_bytes,
        ("builtins", "bytes"): _empty_bytes,
    }
    for core in ("numpy.core", "numpy._core"):
        table[(f"{core}.multiarray", "_reconstruct")] = _PendingArray
        table[(f"{core}.multiarray", "scalar")] = _scalar
        table[(f"{core}.numeric", "_frombuffer")] = _from_buffer
    return table


_FUNCTIONS = _functions()


def find(module: str, name: str, budget: Budget) -> Name:
    """What stands for a name in a pickle.

    Raises:
        RefusedError: for every name that is not on the list.
    """
    try:
        return Name(_FUNCTIONS[module, name], budget)
    except KeyError:
        raise RefusedError(
            f"asks to run '{module[:80]}.{name[:80]}', and only numpy arrays and plain containers are read",
            "do not use this file unless you trust its maker, and then convert it yourself",
        ) from None
