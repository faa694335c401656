"""Open LMDB files of this process: each file is mapped once and stays mapped.

LMDB refuses to open one file twice in a process, and train and validation often read the same store. Read-only and
without locks, an environment is nothing but a map of the file: it stays valid after fork, and a process that is
spawned opens its own.
"""

import os
from pathlib import Path
from typing import NamedTuple

import lmdb

from mmf_visualbert.errors import InputError


class OpenFile(NamedTuple):
    """One mapped file, with a transaction that lasts as long as the process; views of its records stay valid."""

    path: str
    environment: lmdb.Environment
    transaction: lmdb.Transaction


_open_files: dict[tuple[int, int], OpenFile] = {}


def data_file(path: str) -> str:
    """The file that holds the data: `path` itself, or `data.mdb` in the folder `path`.

    Raises:
        InputError: where there is none.
    """
    found = Path(path) / "data.mdb" if Path(path).is_dir() else Path(path)
    if not found.is_file():
        raise InputError(f"there is no feature store {path}; extract, convert or download it, or correct the path")
    return str(found)


def open_file(path: str) -> OpenFile:
    """Maps the store at `path` for reading, or gives the map that this process has of the same file.

    Raises:
        InputError: where the file is missing, not an LMDB file, or open in another way in this process.
    """
    file = data_file(path)
    status = os.stat(file)
    identity = (status.st_dev, status.st_ino)  # an open file keeps its inode, so that no other file can get it
    known = _open_files.get(identity)
    if known is not None:
        return known
    try:
        environment = lmdb.open(file, subdir=False, readonly=True, lock=False, max_dbs=0)
    except lmdb.Error as error:
        if "already open" in str(error):
            raise InputError(f"{path} is open already in this process, by another reader; close that first") from None
        raise InputError(f"{path} is not an LMDB feature store ({error}); build or download it again") from None
    opened = OpenFile(path, environment, environment.begin(buffers=True))
    _open_files[identity] = opened
    return opened
