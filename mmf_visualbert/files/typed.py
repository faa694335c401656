"""JSON read by declared schemas: what a record may hold is said once, as a type, and checked while it is read.

A schema is a `msgspec.Struct`: fields that it does not name are passed over, unread. Whatever does not fit is refused
with the file, the record, the field and what was there. No number is NaN, infinite or cut to another type.
"""

import functools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from mmf_visualbert.characters import whole_characters
from mmf_visualbert.errors import InputError
from mmf_visualbert.files.json_files import no_garbage_collection, parse_json
from mmf_visualbert.files.text import open_bytes, read_bytes

Number = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""A whole number of 64 bits, as tables and tensors hold them."""
Name = Annotated[str, Meta(min_length=1, max_length=4096)]
"""An id in words, or the name of a file."""
Text = Annotated[str, Meta(max_length=1 << 20)]
"""What people write."""
Pixels = Annotated[int, Meta(ge=1, le=1 << 20)]
"""A side of an image."""

T = TypeVar("T")

AT_ONCE = 64  # records of a list: a call for each takes longer than reading it, and more leave the CPU's cache

# An escape of JSON: two that are one character, half a character (group 1), or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNREADABLE = object()
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


class Schema(Generic[T]):
    """A declared type, and how JSON becomes it.

    Args:
        kind: the type.
        mend: what messages advise where a record does not fit.
        called: the field that tells a record from others, which messages say too.
    """

    def __init__(self, kind: type[T], mend: str = "correct it, or get the file again", called: str = "") -> None:
        self.mend = mend
        self.called = called
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)
        self._several = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]  # known when it runs

    def read(self, path: str | Path) -> T:
        """The one value of a file, plain or gzipped.

        Raises:
            InputError: where the file cannot be read, is no JSON, or does not fit.
        """
        raw = read_bytes(path)
        with no_garbage_collection():
            return self.decode(raw, str(path))

    def read_lines(self, path: str | Path) -> Iterator[tuple[int, T]]:
        """(line number from 1, record) of each line that is not blank.

        Raises:
            InputError: as `read`.
        """
        number = 0
        with open_bytes(path) as stream:
            for raw in stream:
                for line in raw.splitlines():
                    number += 1
                    if line.strip():
                        yield number, self.decode(line, f"{path} line {number}")

    def decode(self, raw: bytes | msgspec.Raw, where: str) -> T:
        """The value of a text in JSON.

        Args:
            raw: in UTF-8.
            where: names file and record in messages.

        Raises:
            InputError: where it is no JSON, or does not fit.
        """
        try:
            return self._decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._decode_again(bytes(raw), where, error)

    def decode_several(self, raw: Sequence[bytes | msgspec.Raw], name: Callable[[int], str]) -> list[T]:
        """The values of several texts in JSON, at once where all of them fit.

        Args:
            raw: each in UTF-8.
            name: of the one at a place, for messages.

        Raises:
            InputError: naming the first that is no JSON, or does not fit.
        """
        try:
            return self._several.decode(b"[%b]" % b",".join(raw))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return [self.decode(record, name(place)) for place, record in enumerate(raw)]

    def _decode_again(self, raw: bytes, where: str, error: Exception) -> T:
        """What did not fit, with halves of characters made whole; or the sentence about it."""
        if isinstance(error, UnicodeDecodeError):
            return self._decode_text(raw, where)
        if isinstance(error, msgspec.ValidationError):
            raise self._refusal(error, _loaded(raw), where) from None
        whole = _ESCAPE.sub(lambda escape: b"\\ufffd" if escape[1] else escape[0], raw)
        if whole == raw or isinstance(error, RecursionError):
            raise _no_json(raw, where, error) from error
        return self.decode(whole, where)

    def convert(self, value: Any, where: str) -> T:
        """The value of Python's own containers, as pickles and yaml have them, numpy's numbers and arrays too.

        Args:
            value: a dictionary, a list, ...
            where: names file and record in messages.

        Raises:
            InputError: where it does not fit.
        """
        plain = _plain(value)
        try:
            return msgspec.convert(plain, self._kind)
        except msgspec.ValidationError as error:
            raise self._refusal(error, plain, where) from None

    def _refusal(self, error: Exception, value: Any, where: str) -> InputError:
        name = value.get(self.called) if self.called and isinstance(value, dict) else None
        named = f" ({str(name)[:80]})" if type(name) in (int, str) else ""
        return InputError(f"{where}{whole_characters(named)}{_misfit(str(error), value)}; {self.mend}")

    def _decode_text(self, raw: bytes, where: str) -> T:
        """A text with halves of characters in it, which no JSON escapes."""
        try:
            text = whole_characters(raw.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            raise InputError(
                f"{where} is no text in UTF-8 (0x{raw[error.start]:02x} at byte {error.start}); get the file again, or "
                "save it as UTF-8"
            ) from error
        return self.decode(text.encode(), where)


def parts_of(
    path: str | Path, field: str, raw: Sequence[msgspec.Raw], schema: Schema[T]
) -> Iterator[tuple[Callable[[int], str], Sequence[T]]]:
    """The records of a list that was read as raw JSON, some at a time, so that few are in memory; and before them what
    names each by its place among these, for messages.

    Args:
        path: the file, as messages name it.
        field: the list's name.
        raw: its elements.
        schema: of each.

    Raises:
        InputError: naming the first that does not fit.
    """
    for start in range(0, len(raw), AT_ONCE):
        named = functools.partial(_named, path, field, start)
        yield named, schema.decode_several(raw[start : start + AT_ONCE], named)


def records_of(path: str | Path, field: str, raw: Sequence[msgspec.Raw], schema: Schema[T]) -> Iterator[T]:
    """The records of a list that was read as raw JSON, one after the other; as `parts_of`."""
    for _, part in parts_of(path, field, raw, schema):
        yield from part


def _named(path: str | Path, field: str, start: int, place: int) -> str:
    return f"{path}, {field}[{start + place}]"


def _no_json(raw: bytes, where: str, error: Exception) -> InputError:
    try:
        parse_json(raw.decode(), where)  # says line and column, which msgspec does not
    except InputError as said:
        return said
    except UnicodeDecodeError:
        return InputError(f"{where} is no text in UTF-8; get the file again, or save it as UTF-8")
    reason = "its lists or objects are nested too deep" if isinstance(error, RecursionError) else str(error)
    return InputError(
        f"{where} is no valid json, as it has NaN or Infinity, which JSON does not know ({reason}); write numbers"
        if b"NaN" in raw or b"Infinity" in raw
        else f"{where} is no valid json ({reason}); get the file again"
    )


def _loaded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _plain(value: Any, depth: int = 4) -> Any:
    """Numpy's numbers and arrays as Python's, down to a depth below which no record has any."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if depth and isinstance(value, list | tuple):
        return [_plain(one, depth - 1) for one in value]
    if depth and isinstance(value, dict):
        return {name: _plain(one, depth - 1) for name, one in value.items()}
    return value


def _misfit(said: str, value: Any) -> str:
    """What does not fit, in words: ": question_id is 123.7, and a whole number is expected"."""
    reason, _, path = said.rpartition(" - at ") if " - at " in said else (said, "", "")
    path = path.strip("`").removeprefix("$").removeprefix(".")
    reason = re.sub(r"`([^`]*)`", lambda quoted: _spelt(quoted[1]), reason)
    missing = re.fullmatch(r"Object missing required field (.*)", reason)
    if missing:
        return f"{f': {path}' if path else ''} has no '{missing[1]}'"
    expected = re.sub(r", got .*", "", reason)
    expected = f"{expected.removeprefix('Expected ')} is expected" if expected.startswith("Expected ") else reason
    return f": {path or 'it'} is {_there(value, path)}, and {expected[0].lower()}{expected[1:]}"


def _spelt(kinds: str) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds.split(" | "))


def _there(value: Any, path: str) -> str:
    """What stands at a place, in JSON, cut short."""
    if value is _UNREADABLE:
        return "something else"
    try:
        for name, place in _STEP.findall(f".{path}" if path and not path.startswith("[") else path):
            value = value[name] if name else value[int(place)]
        text = json.dumps(value, ensure_ascii=False, default=lambda other: f"a {type(other).__name__}")
    except (ValueError, LookupError, TypeError, RecursionError):
        return "something else"
    return whole_characters(text if len(text) <= 80 else f"{text[:80]}...")
