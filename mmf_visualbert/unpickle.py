"""Reading other people's pickles: numpy arrays and plain containers, nothing that can run.

numpy's own unpickling trusts its input: an array of objects over given bytes is an array of given pointers. So the
names that a pickle may ask for are answered by stand-ins, which check types before numpy sees them.
"""

import io
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from mmf_visualbert.errors import InputError

_PLAIN_TYPE = re.compile(r"[<>=|]?([?biufSU]\d*|O8?)")


class PickledDtype:
    """Stands in for `numpy.dtype`: numbers, text, bytes and objects; no fields, no subarrays."""

    def __init__(self, name: str, align: bool = False, copy: bool = True) -> None:
        if not isinstance(name, str) or not _PLAIN_TYPE.fullmatch(name):
            raise InputError(f"a pickle holds an array of type {name!r}, which no feature record needs; refused")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subarray, names, fields = state[:5]
        if subarray is not None or names is not None or fields is not None:
            raise InputError("a pickle holds an array with named fields, which no feature record needs; refused")
        if self.dtype.kind in "SU":
            self.dtype = np.dtype(f"{self.dtype.kind}{state[5] // (4 if self.dtype.kind == 'U' else 1)}")
        self.dtype = self.dtype.newbyteorder(order)


class PickledArray(np.ndarray):
    """Stands in for `numpy.ndarray`. What comes of it is an array in every respect."""

    def __new__(cls, shape: Any = 0, dtype: Any = "u1", buffer: Any = None) -> "PickledArray":
        """As `numpy.ndarray(shape, dtype, buffer)`; objects have no place in a buffer."""
        plain = dtype.dtype if isinstance(dtype, PickledDtype) else PickledDtype(dtype).dtype
        if plain.hasobject:
            raise InputError("a pickle holds an array of objects over bytes; refused")
        return super().__new__(cls, shape, plain, buffer)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *_, shape, dtype, is_fortran, values = state
        if not isinstance(dtype, PickledDtype) or isinstance(values, list) != dtype.dtype.hasobject:
            raise InputError("a pickle holds an array whose values do not fit its type; refused")
        super().__setstate__((1, shape, dtype.dtype, is_fortran, values))


class _Function:
    """A function that a pickle can call and cannot change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise InputError("a pickle tries to change a function; refused")


def _encode(text: str, encoding: str) -> bytes:
    """What protocol 2 calls to build bytes; any other codec is refused."""
    if encoding not in ("latin1", "latin-1"):
        raise InputError(f"a pickle asks for the codec '{encoding}', which no feature record needs; refused")
    return text.encode("latin1")


def _reconstruct(subtype: Any, shape: Any, dtype: Any) -> PickledArray:
    return PickledArray()  # what it holds comes by __setstate__


def _scalar(dtype: PickledDtype, raw: bytes) -> Any:
    return _from_buffer(raw, dtype, (), "C")[()]


def _from_buffer(raw: Any, dtype: PickledDtype, shape: Any, order: str) -> np.ndarray:
    flat = np.frombuffer(raw, dtype.dtype)  # refuses objects itself
    return flat.reshape(shape, order=order)


def _allowed() -> dict[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): PickledArray,
        ("numpy", "dtype"): PickledDtype,
        ("_codecs", "encode"): _Function(_encode),
    }
    for core in ("numpy.core", "numpy._core"):
        table[(f"{core}.multiarray", "_reconstruct")] = _Function(_reconstruct)
        table[(f"{core}.multiarray", "scalar")] = _Function(_scalar)
        table[(f"{core}.numeric", "_frombuffer")] = _Function(_from_buffer)
    return table


_ALLOWED = _allowed()


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickles dicts, lists, tuples, strings, bytes, numbers, None and numpy arrays and scalars; refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        """Raises `InputError` for every name that is not on the list."""
        try:
            return _ALLOWED[(module, name)]
        except KeyError:
            raise InputError(
                f"a pickle asks to run '{module}.{name}', and only numpy arrays and plain containers are read; "
                "do not use this file unless you trust its maker, and then convert it yourself"
            ) from None


def loads(raw: bytes | memoryview, where: str) -> Any:
    """Unpickles `raw` without running anything of it; `where` names file and record in messages.

    Raises:
        InputError: where the pickle is damaged or asks for anything but arrays and plain containers.
    """
    return load(io.BytesIO(raw), where)


def load(stream: io.BufferedIOBase, where: str) -> Any:
    """As `loads`, from a file opened for reading bytes, at its position."""
    try:
        return RestrictedUnpickler(stream, encoding="latin1").load()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except Exception as error:  # a damaged pickle may fail in any way, and each of them means the same
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{where} cannot be unpickled ({reason}); get or build it again") from None


def load_npy(path: str) -> Any:
    """An array of a `.npy` file, as `numpy.load` gives it; arrays of objects are unpickled restrictedly.

    Raises:
        InputError: where the file is no `.npy` file, is cut off, or its pickle is refused.
    """
    try:
        with open(path, "rb") as stream:
            version = np.lib.format.read_magic(stream)
            reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = reader[version](stream)
            if dtype.hasobject:
                return np.asarray(load(stream, path)).reshape(shape)
        return np.load(path, allow_pickle=False)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path} cannot be read as a .npy file ({error}); get or make it again") from None
