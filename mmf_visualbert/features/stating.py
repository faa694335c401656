"""Writes into a store what it says about itself, and disturbs nobody who reads it.

A store of MMF's says nothing, and has a hundred gigabytes, so that it is not copied for one record. LMDB writes beside
what is there and then changes the place of the tree; but a reader without locks, as ours and MMF's are, keeps the old
tree, whose pages the second change after that takes for free ones. So a store that somebody has open is copied.
"""

import fcntl
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import lmdb

from mmf_visualbert.errors import InputError
from mmf_visualbert.features import records
from mmf_visualbert.features.environments import damaged, data_file, key_text, whole_pages
from mmf_visualbert.features.info import StoreInfo
from mmf_visualbert.features.writer import MAP_SIZE, OneWriter, disk_errors
from mmf_visualbert.files import write_errors, writing

_F_SETSIG = 10  # of Linux; Python has no name for it


def state(path: str, about: Mapping[str, str]) -> StoreInfo:
    """Writes into a store what it says about itself; what is not given stays, or is counted in its first record.

    Raises:
        InputError: for a name that a store does not state, a value of the wrong type, a store that is damaged or
            written by another process, and where it cannot be written; then it is as it was.
    """
    known = {field.name: field.type for field in fields(StoreInfo)}
    values: dict[str, Any] = {}
    for name, value in about.items():
        if name not in known or name in ("version", "dtype"):
            raise InputError(f"'{name}' cannot be set; a store states {', '.join(known)}")
        values[name] = _number(name, value) if known[name] is int else value
    file = data_file(path)
    whole_pages(file, path)
    with OneWriter(Path(file)):
        if not is_open(file):
            return _write(file, path, values)
        with writing(file) as part:
            with write_errors(path), open(file, "rb") as source:
                shutil.copyfileobj(source, part, 1 << 24)
            return _write(part.partial, path, values)


def is_open(file: str) -> bool:
    """Whether anybody has a file open, this process too; also where its disk cannot tell.

    Raises:
        InputError: where it cannot be written.
    """
    with write_errors(file):
        descriptor = os.open(file, os.O_RDWR)
    try:
        # Of whoever opens it in this very moment the system tells by a signal, and SIGIO would end the process.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)  # is given where nobody else has the file
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    except OSError:
        return True
    finally:
        os.close(descriptor)


def _write(file: str, path: str, values: dict[str, Any]) -> StoreInfo:
    with disk_errors(path):
        environment = lmdb.open(file, subdir=False, map_size=MAP_SIZE, lock=False, max_dbs=0)
        with environment, environment.begin(write=True) as transaction:
            values = {**_stated(transaction, path), **values}
            if "detector" not in values:
                raise InputError(f"{path} says nothing yet; state its detector at least: --set detector=NAME")
            info = StoreInfo(**values)
            transaction.put(records.INFO_RECORD, info.to_json())
    return info


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InputError(f"'{name}' is a whole number, not '{value[:40]}'")
    return int(value)


def _stated(transaction: lmdb.Transaction, path: str) -> dict[str, Any]:
    try:
        raw = transaction.get(records.INFO_RECORD)
        if raw is not None:
            return asdict(StoreInfo.from_json(bytes(raw), path))
        found = ((bytes(name), value) for name, value in transaction.cursor())
        name, value = next((item for item in found if item[0] not in records.RESERVED), (None, b""))
    except lmdb.Error as error:
        raise damaged(path, error) from error
    if name is None:
        raise InputError(f"{path} holds no record")
    key = key_text(name, path)
    features = records.decode(memoryview(value), (key,), f"{path}, record '{key}'").features
    if features.ndim != 2:
        raise InputError(f"{path}, record '{key}' has features of shape {features.shape}; check the store's source")
    return {"dimension": features.shape[1], "regions": len(features), "dtype": str(features.dtype)}
