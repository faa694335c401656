"""Text, opened in one way: UTF-8 with or without a byte order mark, any line end, plain or gzipped.

Half an emoji, as files have it that were cut by characters of 16 bits, becomes U+FFFD, the sign for a character that
could not be read: no tokenizer, key or file takes the half.
"""

import codecs
import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmf_visualbert.characters import whole_characters
from mmf_visualbert.errors import InputError
from mmf_visualbert.files.opening import HEAD, reading, refuse_foreign, require, size_of

_GZIP = b"\x1f\x8b"
_WIDE = (  # the longer marks first: one of UTF-32 begins like one of UTF-16
    *((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)
# A text packs to a tenth or a thirtieth. Deflate can make a thousand bytes of one, which no text does.
_MOST_OF_A_BYTE, _MOST_AT_LEAST = 200, 256 << 20


@contextlib.contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """The bytes of a text in UTF-8, unpacked, without a byte order mark. Text in UTF-16 or UTF-32 with its mark is put
    into UTF-8 on the way.

    Raises:
        InputError: missing, empty, not readable, a bad gzip file, or something else in place of the file.
    """
    with _opened(path) as (stream, _):
        yield stream


def read_bytes(path: str | Path) -> bytes:
    """All bytes of a text, as `open_bytes` gives them; a large file is in memory once while it is read.

    Raises:
        InputError: as `open_bytes`.
    """
    with _opened(path) as (stream, own):
        # Asked for all there is, Python reads it apart and then copies it behind what was looked at.
        first = stream.read(size_of(path)) if own else b""
        rest = stream.read()
        return first + rest if rest else first


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[tuple[BinaryIO, bool]]:
    """The stream of `open_bytes`, and whether its bytes are the file's own, at their own places."""
    path = require(path)
    with reading(path), _unpacked(path) as (stream, own):
        try:
            head = stream.peek(HEAD)[:HEAD]
            refuse_foreign(path, head)
            for mark, encoding in _WIDE:
                if head.startswith(mark):
                    text = stream.read().decode(encoding, "surrogatepass")
                    yield io.BytesIO(whole_characters(text).encode()), False
                    return
            if head.startswith(codecs.BOM_UTF8):
                stream.read(len(codecs.BOM_UTF8))
            yield stream, own
        except UnicodeDecodeError as error:
            raise _no_utf8(path, error) from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{path} is no whole gzip file ({error}); download or pack it again") from error


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[tuple[io.BufferedReader, bool]]:
    with open(path, "rb") as packed:
        if packed.peek(2)[:2] != _GZIP:
            yield packed, True
            return
        with gzip.GzipFile(fileobj=packed) as stream:
            yield io.BufferedReader(_Bounded(stream, path)), False


class _Bounded(io.RawIOBase):
    """An unpacked file that may not become more than a text of its packed size can be."""

    def __init__(self, stream: gzip.GzipFile, path: Path) -> None:
        self._stream, self._path = stream, path
        self._left = max(_MOST_AT_LEAST, _MOST_OF_A_BYTE * size_of(path))

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]  # of io.RawIOBase: any buffer
        """As io.RawIOBase asks for it."""
        count = self._stream.readinto(room)
        self._left -= count
        if self._left < 0:
            raise InputError(f"{self._path} unpacks to far more than a text of its size can; it is no file to read")
        return count


def read_text(path: str | Path) -> str:
    """A whole text, its lines ended by "\\n".

    Raises:
        InputError: missing, empty, or no text in UTF-8.
    """
    with open_bytes(path) as stream:
        text = _decoded(stream.read())
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def read_lines(path: str | Path) -> Iterator[str]:
    """The lines of a text one after the other, without their ends.

    Raises:
        InputError: missing, empty, or no text in UTF-8, which names the line.
    """
    number = 0
    with open_bytes(path) as stream:
        for raw in stream:
            for piece in raw.splitlines():
                number += 1
                yield decoded_line(piece, path, number)


def decoded_line(raw: bytes, path: str | Path, number: int) -> str:
    """The characters of a line, all of them whole.

    Args:
        raw: the line.
        path, number: the file and the line in it, from 1, as messages name it.

    Raises:
        InputError: no text in UTF-8.
    """
    try:
        return _decoded(raw)
    except UnicodeDecodeError as error:
        raise _no_utf8(path, error, f"in line {number}") from error


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        try:
            return whole_characters(raw.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise error from None


def _no_utf8(path: str | Path, error: UnicodeDecodeError, place: str = "") -> InputError:
    byte = f"{place or f'at byte {error.start}'}: 0x{error.object[error.start]:02x}"
    return InputError(
        f"{path} is no text in UTF-8 ({byte}); download or unpack it again, or save it as UTF-8 if it has another "
        "encoding"
    )


class IndexedLines:
    """The lines of a text that are not blank, read from disk one at a time, so that workers share no memory.

    Of a gzipped text the unpacked bytes are kept, as one object that processes share after a fork.

    Args:
        path: of the text.

    Raises:
        InputError: as `read_lines`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._raw: bytes | None = None
        places = []
        with _opened(path) as (stream, own):
            start, number = (stream.tell() if own else 0), 0
            if not own:
                self._raw = stream.read()
                stream = io.BytesIO(self._raw)
            for raw in stream:
                for piece in raw.splitlines(keepends=True):
                    number += 1
                    if piece.strip():
                        places.append((start, len(piece), number))
                    start += len(piece)
        self._places = np.array(places, np.int64).reshape(-1, 3)

    def __len__(self) -> int:
        return len(self._places)

    def number(self, index: int) -> int:
        """The number of a line in the file, from 1."""
        return int(self._places[index, 2])

    def __getitem__(self, index: int) -> str:
        start, length, number = (int(value) for value in self._places[index])
        if self._raw is not None:
            raw = self._raw[start : start + length]
        else:
            with reading(self.path), open(self.path, "rb") as stream:
                stream.seek(start)
                raw = stream.read(length)
        return decoded_line(raw.rstrip(b"\r\n"), self.path, number)
