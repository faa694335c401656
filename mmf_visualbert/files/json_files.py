"""JSON and JSON lines: every fault is one sentence with the file, the place and the mend."""

import contextlib
import gc
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from mmf_visualbert.errors import InputError
from mmf_visualbert.files.text import decoded_line, open_bytes, read_text

Hook = Callable[[dict[str, Any]], Any]

_quick = msgspec.json.Decoder()
_BLANK = object()

# An escape of JSON: two that are one character, half a character (group 1), or any other.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Millions of new objects, none of them garbage, otherwise make Python search them all again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_json(path: str | Path, object_hook: Hook | None = None) -> Any:
    """A whole json file.

    Args:
        path: the file, plain or gzipped.
        object_hook: as in `json.loads`: what to keep of each object (large files do not fit into memory otherwise).

    Raises:
        InputError: missing, empty, truncated or otherwise no json.
    """
    text = read_text(path)
    with no_garbage_collection():
        return parse_json(text, str(path), object_hook)


def read_json_lines(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, object) of each line of a JSON lines file; empty lines are passed over.

    Raises:
        InputError: missing, empty, or a line that is no json object.
    """
    number, decode = 0, _quick.decode
    with open_bytes(path) as stream:
        for raw in stream:
            for line in raw.splitlines():
                number += 1
                try:
                    record = decode(line)
                except (msgspec.MsgspecError, ValueError, RecursionError):
                    record = _slowly(line, path, number)
                if type(record) is dict:
                    yield number, record
                elif record is not _BLANK:
                    raise InputError(f"{path} line {number} is no json object; make the file anew, one object a line")


def _slowly(line: bytes, path: str | Path, number: int) -> Any:
    """The value of a line that msgspec does not take: with NaN or half an emoji, blank, or none, which is said."""
    text = decoded_line(line, path, number)
    return parse_json(text, f"{path} line {number}") if text.strip() else _BLANK


def parse_json(text: str, where: str, object_hook: Hook | None = None) -> Any:
    """The value of a text in JSON, all of its characters whole (see `files.text`).

    Args:
        text: in JSON.
        where: names file and record in messages.
        object_hook: as in `json.loads`.

    Raises:
        InputError: where the text is truncated or otherwise no json, nested too deep, or has a number too long.
    """
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPE.sub(lambda escape: "\\ufffd" if escape[1] else escape[0], text)
    try:
        return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError as error:
        at_end = error.pos >= len(error.doc.rstrip()) or "Unterminated" in error.msg
        fault = "truncated" if at_end else "no valid json"
        place = f"at line {error.lineno} column {error.colno} ({error.msg})"
        raise InputError(f"{where} is {fault} {place}; get the file again") from error
    except RecursionError:
        raise InputError(f"{where} is no valid json: its lists or objects are nested too deep; get it again") from None
    except ValueError as error:
        if isinstance(error, InputError) or "integer string" not in str(error):
            raise  # of the hook
        raise InputError(f"{where} is no valid json: it has a number of thousands of digits; get it again") from error
