"""Open LMDB files of this process: each file is mapped once and stays mapped.

LMDB refuses to open one file twice in a process, and train and validation often read the same store. Read-only and
without locks, an environment is nothing but a map of the file: it stays valid after fork, and a process that is
spawned opens its own.
"""

import os
import threading
from pathlib import Path

import lmdb

from mmf_visualbert.errors import InputError


class OpenFile:
    """One mapped file. Views of its records stay valid as long as the process.

    Attributes:
        path: as it was named when it was opened first.
        environment: LMDB's.
    """

    def __init__(self, path: str, environment: lmdb.Environment) -> None:
        self.path = path
        self.environment = environment
        self._of_thread = threading.local()

    @property
    def transaction(self) -> lmdb.Transaction:
        """This thread's transaction; LMDB allows one thread at a time in each."""
        try:
            return self._of_thread.transaction
        except AttributeError:
            self._of_thread.transaction = self.environment.begin(buffers=True)
            return self._of_thread.transaction


_open_files: dict[tuple[int, int], OpenFile] = {}
_opening = threading.Lock()


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
    with _opening:
        if identity not in _open_files:
            _open_files[identity] = OpenFile(path, _map(file, path))
        return _open_files[identity]


def _map(file: str, path: str) -> lmdb.Environment:
    try:
        return lmdb.open(file, subdir=False, readonly=True, lock=False, max_dbs=0)
    except lmdb.Error as error:
        if "already open" in str(error):
            raise InputError(f"{path} is open already in this process, by another reader; close that first") from None
        raise InputError(f"{path} is not an LMDB feature store ({error}); build or download it again") from None
