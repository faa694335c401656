"""Open LMDB files of this process: each file is mapped once and stays mapped.

LMDB refuses to open one file twice in a process, and train and validation often read the same store. Read-only and
without locks, an environment is nothing but a map of the file: it stays valid after fork, and a process that is
spawned opens its own.
"""

import os
import struct
import threading
from collections.abc import Iterator, Set
from pathlib import Path
from time import perf_counter

import lmdb

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.nodes import OutsideError
from mmf_visualbert.features.pages import OutOfOrderError, Pages
from mmf_visualbert.features.readahead import Readahead
from mmf_visualbert.files import reading

# Seconds from which on a record is taken to have come from a disk: from memory it takes a tenth of them.
_FROM_DISK = 1e-4
_LOOK_UP = 32  # records of a file that are passed by in the time of one look-up
_HINTS = 64  # records of which the system is told before they are read, after one that came from a disk


class OpenFile:
    """One mapped file. Views of its records stay valid as long as the process.

    Attributes:
        path: as it was named when it was opened first.
        environment: LMDB's.
        readahead: hints for the same file.
    """

    def __init__(self, path: str, environment: lmdb.Environment, readahead: Readahead) -> None:
        self.path = path
        self.environment = environment
        self.readahead = readahead
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
        """The bytes of a record, not copied, in memory; None where there is none.

        Raises:
            InputError: where the file is damaged.
        """
        if self._hints:
            self._hints -= 1
            self.readahead.will_need(name)
        begin = perf_counter()
        try:
            raw = self.transaction.get(name)
        except lmdb.BadValsizeError:  # empty, or longer than a key can be
            return None
        except lmdb.Error as error:
            raise self._damaged(error) from error
        if perf_counter() - begin > _FROM_DISK:
            self._hints = _HINTS
        return None if raw is None else memoryview(raw)

    def has(self, name: bytes) -> bool:
        """Whether there is a record; its bytes are not touched, as LMDB's binding would."""
        return self.size(name) is not None

    def size(self, name: bytes) -> int | None:
        """Bytes of a record, which are not touched; None where there is none.

        Raises:
            InputError: where the file is damaged.
        """
        pages = self.readahead.pages
        if pages.page_size:
            return pages.size(name) if name else None
        raw = self.get(name)
        return None if raw is None else len(raw)

    def sizes(self) -> Iterator[tuple[bytes, int]]:
        """The name of each record and its bytes, which are not touched, in LMDB's order.

        Raises:
            InputError: where the file is damaged.
        """
        pages = self.readahead.pages
        try:
            yield from pages.entries() if pages.page_size else self._entries()
        except OutOfOrderError:
            raise self._damaged("its keys are out of order") from None
        except (struct.error, OutsideError):
            raise self._damaged("its pages lead out of the file") from None
        except lmdb.Error as error:
            raise self._damaged(error) from error

    def sizes_of(self, names: Set[bytes]) -> Iterator[tuple[bytes, int]]:
        """As `sizes`, of these records alone, in any order; a few are looked up one by one."""
        if _LOOK_UP * len(names) > len(self):
            yield from ((name, size) for name, size in self.sizes() if name in names)
            return
        found = ((name, self.size(name)) for name in names)
        yield from ((name, size) for name, size in found if size is not None)

    def names(self) -> Iterator[bytes]:
        """The names of all records, in LMDB's order; as `sizes`."""
        return (name for name, _ in self.sizes())

    def _entries(self) -> Iterator[tuple[bytes, int]]:
        """What `Pages.entries` gives, by LMDB's own way through a file of any form."""
        before = b""
        for raw, value in self.transaction.cursor():
            name = bytes(raw)
            if name <= before:  # a tree with a loop in it would never end
                raise OutOfOrderError
            yield name, len(value)
            before = name

    def _damaged(self, error: lmdb.Error | str) -> InputError:
        if self.readahead.pages.is_written():
            return InputError(f"{self.path} is being written by another program; start again when that has ended")
        return damaged(self.path, error)

    def __len__(self) -> int:
        return self.transaction.stat()["entries"]


def damaged(path: str, error: lmdb.Error | str) -> InputError:
    """The sentence about a file in which LMDB does not find its way."""
    return InputError(f"{path} is damaged ({error}); build, copy or download it again")


def key_text(name: bytes, path: str) -> str:
    """An image's key from the name of its record.

    Raises:
        InputError: where it is no text.
    """
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise InputError(
            f"{path} has a record whose key is no text ({name[:40]!r}); build or download it again"
        ) from None


_open_files: dict[tuple[int, int], OpenFile] = {}
_opening = threading.Lock()


def data_file(path: str) -> str:
    """The file that holds the data: `path` itself, or `data.mdb` in the folder `path`.

    Raises:
        InputError: where there is none.
    """
    with reading(path):
        found = Path(path) / "data.mdb" if Path(path).is_dir() else Path(path)
        there = found.is_file()
    if not there:
        raise InputError(f"there is no feature store {path}; extract, convert or download it, or correct the path")
    return str(found)


def open_file(path: str) -> OpenFile:
    """Maps the store at `path` for reading, or gives the map that this process has of the same file.

    Raises:
        InputError: where the file is missing, not an LMDB file, cut off, or open in another way in this process.
    """
    file = data_file(path)
    with reading(path), _opening:
        status = os.stat(file)
        identity = (status.st_dev, status.st_ino)  # an open file keeps its inode, so that no other file can get it
        if identity not in _open_files:
            pages = whole_pages(file, path)
            _open_files[identity] = OpenFile(path, _map(file, path), Readahead(pages))
        return _open_files[identity]


def whole_pages(file: str, path: str) -> Pages:
    """The pages of a file, all of them there; LMDB would look for what is missing, and end the process.

    Args:
        file: of the data.
        path: names the store in messages.

    Raises:
        InputError: where the file is empty or cut off.
    """
    if not os.path.getsize(file):
        raise InputError(f"{path} is empty; build, copy or download it again")
    pages = Pages(file)
    fault = pages.fault()
    if fault is not None:
        raise InputError(f"{path} is {fault}; build, copy or download it again")
    return pages


def _map(file: str, path: str) -> lmdb.Environment:
    try:
        return lmdb.open(file, subdir=False, readonly=True, lock=False, max_dbs=0)
    except lmdb.Error as error:
        if "already open" in str(error):
            raise InputError(f"{path} is open already in this process, by another reader; close that first") from None
        raise InputError(f"{path} is not an LMDB feature store ({error}); build or download it again") from None
