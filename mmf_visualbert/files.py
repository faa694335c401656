"""Reading annotation files: every fault is one sentence that names file, place and mend."""

import contextlib
import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mmf_visualbert import unpickle
from mmf_visualbert.errors import InputError

Hook = Callable[[dict[str, Any]], Any]


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


def require(path: str | Path) -> Path:
    """The path, after a check that there is something.

    Raises:
        InputError: where it does not exist, or is an empty file.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; put the file there, or name the right one in the configuration")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty; download or make it again")
    return path


def read_json(path: str | Path, object_hook: Hook | None = None) -> Any:
    """A whole json file.

    Args:
        path: the file.
        object_hook: as in `json.loads`: what to keep of each object (large files do not fit into memory otherwise).

    Raises:
        InputError: missing, empty, truncated or otherwise no json.
    """
    path = require(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        with no_garbage_collection():
            return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError as error:
        truncated = (
            "truncated" if error.pos >= len(error.doc.rstrip()) or "Unterminated" in error.msg else "no valid json"
        )
        raise InputError(
            f"{path} is {truncated} at line {error.lineno} column {error.colno} ({error.msg}); get the file again"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8 ({error}); download or unpack it again") from error


def read_json_lines(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, object) of each line of a JSON lines file; empty lines are passed over.

    Raises:
        InputError: missing, empty, or a line that is no json object.
    """
    path = require(path)
    with path.open(encoding="utf-8") as file:
        number = 0
        try:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise InputError(f"{path} line {number} is no json object; make the file anew, one object a line")
                yield number, record
        except json.JSONDecodeError as error:
            truncated = "truncated" if not error.doc.endswith("\n") else "no valid json"
            raise InputError(f"{path} line {number} is {truncated} ({error.msg}); download or make it again") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is no text in UTF-8 after line {number}; download or unpack it again") from error


def read_npy_records(path: str | Path) -> list[Any]:
    """The records of an MMF imdb: a `.npy` with a one-dimensional array of Python objects.

    It holds a pickle, so only numpy arrays and plain containers are let in.

    Raises:
        InputError: missing, truncated, no such array, or a pickle that names anything else.
    """
    path = require(path)
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            _, _, dtype = read_header(file)
        except ValueError as error:
            raise InputError(f"{path} is no .npy file ({error}); download or make it again") from error
        if not dtype.hasobject:
            raise InputError(f"{path} holds an array of {dtype} instead of records; give an MMF imdb")
        records = unpickle.loads(file.read(), str(path))
    if not isinstance(records, np.ndarray) or records.ndim != 1:
        raise InputError(f"{path} holds no list of records; give an MMF imdb (an array of dictionaries)")
    return records.tolist()
