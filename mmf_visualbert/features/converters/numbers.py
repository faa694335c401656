"""Numbers in base64, as tab-separated files of features have them: the bytes do not say of which type they are."""

import base64

import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.converters.source import Reading
from mmf_visualbert.features.suspicions import like_other_numbers

_FLOATS = {2: "<f2", 4: "<f4", 8: "<f8"}  # by bytes a number
_INTEGERS = {4: "<i4", 8: "<i8"}


def whole_number(text: object, where: str, what: str) -> int:
    """A whole number that is written down, below a thousand million.

    Raises:
        InputError: where it is none.
    """
    if isinstance(text, str) and len(text) < 10 and text.strip().isascii() and text.strip().isdigit():
        return int(text)
    if type(text) is int and 0 <= text < 1_000_000_000:
        return text
    raise InputError(f"{where} has {text!r} as {what}, where a whole number is expected; check the columns of the file")


def raw_bytes(text: object, where: str, what: str) -> bytes:
    """What base64 stands for.

    Raises:
        InputError: where it is none.
    """
    if not isinstance(text, str):
        raise InputError(f"{where} has {what} that are no text in base64; get or make the file again")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InputError(f"{where} has {what} that are no base64 ({error}); get or make the file again") from None


def columns(text: object, count: int, width: int, where: str, what: str, integers: bool = False) -> np.ndarray:
    """(count, width) numbers in base64; how many bytes each has follows from how many there are.

    Raises:
        InputError: where they are not so many.
    """
    raw = raw_bytes(text, where, what)
    kinds = _INTEGERS if integers else _FLOATS
    size, rest = divmod(len(raw), count * width) if count else (0, 1)
    if rest or size not in kinds:
        raise InputError(
            f"{where} has {what} of {len(raw)} bytes, which are no {count} rows of {width} numbers; get or make the "
            "file again"
        )
    return np.frombuffer(raw, kinds[size]).reshape(count, width)


def features(text: object, count: int, where: str, reading: Reading) -> tuple[np.ndarray, str]:
    """(count, D) numbers in base64 and a note of their type: float32, as these formats document it, unless said.

    Raises:
        InputError: where they are no rows of numbers, or make sense as another type and none as float32.
    """
    raw = raw_bytes(text, where, "features")
    dtype = np.dtype(reading.dtype or "float32").newbyteorder("<")
    if not count or not raw or len(raw) % (count * dtype.itemsize):
        halves = count and reading.dtype is None and len(raw) % (2 * count) == 0
        mend = "say --dtype-of-source float16 if they are that" if halves else "get or make the file again"
        raise InputError(
            f"{where} has features of {len(raw)} bytes, which are no {count} rows of numbers in {dtype.name}; {mend}"
        )
    other = like_other_numbers(raw) if reading.dtype is None else None
    if other is not None:
        raise InputError(
            f"{where} has features that make sense as numbers in {other} and none in float32; say which they are: "
            f"--dtype-of-source {other}, or float32"
        )
    return np.frombuffer(raw, dtype).reshape(count, -1), f"features in {dtype.name}"
