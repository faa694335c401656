"""Numpy's files: `.npy` with numbers or with records, and the arrays in an `.npz`.

Their headers are checked before numpy makes room for anything, and objects go through `unpickle`.
"""

import ast
import contextlib
import io
import math
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from mmf_visualbert import unpickle
from mmf_visualbert.errors import InputError
from mmf_visualbert.files.opening import HEAD, reading, refuse_foreign, require, size_of

_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}  # of the header, by the version of the format
_LONGEST_HEADER = 10_000  # bytes; ours need 128
_OLD_NUMBER = re.compile(r"(\d)L\b")  # as Python 2 wrote a shape
_LARGEST_IN_ZIP = 1 << 30  # bytes of one array


class _Header(NamedTuple):
    """What a `.npy` says of its array, checked."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the array, where it holds no objects."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy(path: str | Path) -> np.ndarray:
    """The array of a `.npy` file; arrays of objects are unpickled restrictedly.

    Raises:
        InputError: where the file is missing, no `.npy` file, or cut off, or its pickle is refused.
    """
    path = require(path)
    with reading(path), open(path, "rb") as stream:
        refuse_foreign(path, stream.read(HEAD))
        stream.seek(0)
        return _read_array(stream, size_of(path), str(path))


def read_npy_records(path: str | Path) -> list[Any]:
    """The records of an MMF imdb: a `.npy` with a one-dimensional array of Python objects.

    Raises:
        InputError: missing, truncated, no such array, or a pickle that names anything but arrays and containers.
    """
    records = read_npy(path)
    if not records.dtype.hasobject:
        raise InputError(f"{path} holds an array of {records.dtype} instead of records; give an MMF imdb")
    if records.ndim != 1:
        raise InputError(f"{path} holds no list of records; give an MMF imdb (an array of dictionaries)")
    return records.tolist()


def read_pickle(path: str | Path) -> Any:
    """What a pickle holds: arrays and plain containers.

    Raises:
        InputError: where it is missing, damaged, or asks for anything else.
    """
    path = require(path)
    with reading(path):
        raw = path.read_bytes()
    refuse_foreign(path, raw[:HEAD])
    return unpickle.loads(raw, str(path))


def read_npz(source: str | Path | bytes, names: Sequence[str], where: str = "") -> dict[str, np.ndarray]:
    """The named arrays of an `.npz`, those that it has.

    Args:
        source: its path, or its bytes.
        names: of the arrays.
        where: names it in messages, where bytes are given.

    Raises:
        InputError: where it is missing, no `.npz`, or an array in it is damaged, of objects, or too large.
    """
    if not isinstance(source, bytes):
        where = str(require(source))
        with reading(source):
            source = Path(source).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(source)) as packed:
            there = set(packed.namelist())
            return {name: _from_zip(packed, f"{name}.npy", where) for name in names if f"{name}.npy" in there}
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        ValueError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        struct.error,
    ) as error:
        raise InputError(f"{where} is no whole .npz file ({error}); download or make it again") from error


def _from_zip(packed: zipfile.ZipFile, name: str, where: str) -> np.ndarray:
    size = packed.getinfo(name).file_size
    if size > _LARGEST_IN_ZIP:
        raise InputError(f"{where} holds an array of {size} bytes in {name}, which no record of regions needs")
    with packed.open(name) as stream:
        raw = stream.read(size)
    return _read_array(io.BytesIO(raw), len(raw), f"{where}, {name}", objects=False)


def _read_array(stream: BinaryIO, size: int, where: str, objects: bool = True) -> np.ndarray:
    header = _read_header(stream, where)
    if header.dtype.hasobject:
        if not objects:
            raise InputError(f"{where} holds Python objects, and numbers are expected; make it again from numbers")
        array = unpickle.loads(stream.read(), where)
        if not isinstance(array, np.ndarray) or array.shape != header.shape:
            raise InputError(f"{where} holds another array than its header says; get or make it again")
        return array
    there = size - stream.tell()
    if header.nbytes > there:
        raise InputError(f"{where} is cut off: {there} of {header.nbytes} bytes are there; get or make it again")
    flat = np.empty(math.prod(header.shape), header.dtype)
    stream.readinto(flat.view(np.uint8))  # type: ignore[attr-defined]  # of files and of bytes
    with _refusals(where):
        unpickle.check_text(flat)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _read_header(stream: BinaryIO, where: str) -> _Header:
    start = stream.read(8)
    length_format = _LENGTHS.get(start[6]) if len(start) == 8 and start.startswith(_MAGIC) else None
    if length_format is None:
        raise InputError(f"{where} is no .npy file; download or make it again")
    try:
        (length,) = struct.unpack(length_format, stream.read(struct.calcsize(length_format)))
        if length > _LONGEST_HEADER:
            raise ValueError(f"it is {length} bytes long")
        with _refusals(where):
            return _parse_header(stream.read(length).decode("utf-8" if start[6] == 3 else "latin1"))
    except InputError:
        raise
    except (ValueError, SyntaxError, TypeError, struct.error, RecursionError, MemoryError) as error:
        raise InputError(f"{where} is no .npy file: its header is damaged ({error}); get or make it again") from error


@contextlib.contextmanager
def _refusals(where: str) -> Iterator[None]:
    try:
        yield
    except unpickle.RefusedError as error:
        raise InputError(f"{where} {error}; {error.mend}") from None


def _parse_header(text: str) -> _Header:
    fields = ast.literal_eval(_OLD_NUMBER.sub(r"\1", text).strip())
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise ValueError("it states other things than descr, fortran_order and shape")
    shape, fortran = fields["shape"], fields["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(side) is int and 0 <= side < 1 << 48 for side in shape):
        raise ValueError("its shape is none")
    if not isinstance(fortran, bool):
        raise ValueError("its fortran_order is neither True nor False")
    return _Header(shape, fortran, unpickle.plain_dtype(fields["descr"]))
