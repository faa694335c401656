"""Open LMDB files of this process: each file is mapped once and stays mapped.

LMDB refuses to open one file twice in a process, and train and validation often read the same store. Read-only and
without locks, an environment is nothing but a map of the file: it stays valid after fork, and a process that is
spawned opens its own.
"""

import ctypes
import os
import threading
from pathlib import Path
from time import perf_counter

import lmdb
import numpy as np

from mmf_visualbert.errors import InputError

# Seconds that the first touch of a record takes at least where its page comes from a disk; from memory it takes 1e-7.
_FROM_DISK = 3e-5
_HINTS = 64  # records for which the system is told what is read, after one that came from a disk
_PAGE = os.sysconf("SC_PAGE_SIZE")
_WILL_NEED = 3  # madvise's number on Linux


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
        self._hints = 0

    @property
    def transaction(self) -> lmdb.Transaction:
        """This thread's transaction; LMDB allows one thread at a time in each."""
        try:
            return self._of_thread.transaction
        except AttributeError:
            self._of_thread.transaction = self.environment.begin(buffers=True)
            return self._of_thread.transaction

    def get(self, name: bytes) -> memoryview | None:
        """The bytes of a record, not copied; None where there is none.

        While records come from a disk the system is told which bytes are about to be read. Otherwise it fetches them a
        piece at a time, and, where the disk's read-ahead is long, megabytes around each piece that nobody asked for.
        """
        raw = self.transaction.get(name)
        if not raw:
            return raw
        if self._hints:
            self._hints -= 1
            will_need(raw)
        begin = perf_counter()
        _ = raw[0]
        if perf_counter() - begin > _FROM_DISK:
            self._hints = _HINTS
        return raw


def will_need(raw: memoryview) -> None:
    """Tells the system that these bytes of a mapped file will be read at once."""
    address = np.frombuffer(raw, np.uint8).ctypes.data
    start = address - address % _PAGE
    ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(address + len(raw) - start), _WILL_NEED)


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
