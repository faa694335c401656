"""The pages of an LMDB file: where a record lies, and whether the file ends before its last page.

Their form has been the same since version 0.9 (data version 1 in `mdb.c`). A file of another form has no places here,
and is left to LMDB.
"""

import mmap
import operator
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mmf_visualbert.features.nodes import BRANCH, ELSEWHERE, HEADER, LEAF, NODE, PAGE, Nodes, OutsideError

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_META = struct.Struct("<II16xI")  # magic, version; size of a page; after the page's header
_META_PLACE, _ROOT_PLACE = 16, 128
_STATE = struct.Struct("<QQQ")
_LARGEST_PAGE = 1 << 16
_NUMBER = struct.Struct("<Q")
_NO_PAGE = (1 << 64) - 1
_AT_ONCE = 256  # pages that are looked at together
_DEEPEST = 16  # levels; a tree of all files that fit on a disk has fewer


class OutOfOrderError(Exception):
    """Keys that LMDB looks for where they are not."""


class _Found(NamedTuple):
    """A record's bytes, and where in the file it begins with its page's; None for one within the tree's own pages."""

    size: int
    place: tuple[int, int] | None


class _State(NamedTuple):
    """A file's state: the tree's root, the last page that is used, and the transaction that made it so."""

    root: int
    last: int
    transaction: int


class Pages:
    """One LMDB file with little-endian 64-bit pages, mapped, in the state that it has when it is opened.

    Args:
        file: path of the file.

    Attributes:
        map: its bytes.
        page_size: 0 where the file has another form.
    """

    def __init__(self, file: str) -> None:
        with open(file, "rb") as stream:
            self.map = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
        self.map.madvise(mmap.MADV_RANDOM)  # of the tree, single pages
        self.page_size = self._size_of_pages()
        self._state = self._newest() if self.page_size else _State(_NO_PAGE, 0, 0)

    def place(self, key: bytes) -> tuple[int, int] | None:
        """Where in the file a record begins and how many bytes it has; None for one within the tree's own pages."""
        found = self._found(key)
        return None if found is None else found.place

    def size(self, key: bytes) -> int | None:
        """Bytes of a record, which are not touched; None where there is none."""
        found = self._found(key)
        return None if found is None else found.size

    def stated_size(self) -> int:
        """Bytes that the file has as far as its newest state says; 0 where it has another form.

        Of a file that ends amid its first two pages, which say where the tree is, those two.
        """
        if not self.page_size:
            return self._first_two() if self._first_two() > len(self.map) else 0
        return (self._state.last + 1) * self.page_size

    def is_written(self) -> bool:
        """Whether another program has written the file since; it may have used again what the tree here consists of."""
        return self.page_size > 0 and self._newest() != self._state

    def fault(self) -> str | None:
        """What is wrong with the tree, whose pages are all looked at; None where nothing is.

        LMDB believes what stands in a page, and whoever reads behind the end of a file ends the process. A file may be
        shorter than it says, where the pages at its end are free ones.
        """
        short = self.stated_size() > len(self.map)
        cut_off = f"cut off: {len(self.map)} of {self.stated_size()} bytes are there" if short else None
        if not self.page_size:
            return cut_off
        try:
            for _ in self._leaves():
                pass
        except (struct.error, OutsideError):
            return cut_off or "damaged: its pages lead out of the file"
        return None

    def entries(self) -> Iterator[tuple[bytes, int]]:
        """The name of each record and its bytes, which are not touched, in the order in which LMDB has them.

        Raises:
            OutOfOrderError: where LMDB would not find a record that is there.
            OutsideError: where a page leads out of the file.
        """
        before = b""
        for leaves, least in self._leaves():
            names, starts = leaves.names(), leaves.starts.tolist()
            ordered = [before, *names]
            if not all(map(operator.lt, ordered, names)):
                raise OutOfOrderError
            for start, end, key in zip(starts, starts[1:], least, strict=False):
                if start < end and key and not ordered[start] < key <= names[start]:
                    raise OutOfOrderError
            before = ordered[-1]
            yield from zip(names, leaves.sizes.tolist(), strict=True)

    def _leaves(self) -> Iterator[tuple[Nodes, list[bytes]]]:
        """The tree's leaves in order, some at a time; and for each of these the key that LMDB goes by on its way there:
        its own are not below it, those before are."""
        root = self._state.root
        level, least = ([] if root == _NO_PAGE else [root]), [b""]
        left = len(self.map) // self.page_size  # a page that is come to twice is one that leads to itself
        try:
            for _ in range(_DEEPEST):
                left -= len(level)
                if left < 0:
                    break
                below: list[int] = []
                keys: list[bytes] = []
                for nodes, own in self._parts(level, least):
                    if nodes.branch:
                        below += nodes.pages.tolist()
                        keys += _least_below(nodes, own)
                    else:
                        yield nodes, own
                if not below:
                    return
                level, least = below, keys
            raise OutsideError
        finally:
            # The system maps what lies beside the tree's pages too: half a store would count as the process's memory.
            self.map.madvise(mmap.MADV_DONTNEED)

    def _parts(self, level: list[int], least: list[bytes]) -> Iterator[tuple[Nodes, list[bytes]]]:
        """The pages of a level, some at a time."""
        size, kinds = self.page_size, set()
        pages = np.frombuffer(self.map, np.uint8, len(self.map) // size * size).reshape(-1, size)
        if max(level, default=0) >= len(pages):
            raise OutsideError
        for start in range(0, len(level), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            nodes = Nodes(pages[level[part]].tobytes(), size)
            kinds.add(nodes.branch)
            if len(kinds) > 1:
                raise OutsideError
            if (nodes.first_pages * size + HEADER + nodes.long_sizes > len(self.map)).any():
                raise OutsideError
            yield nodes, least[part]

    def _size_of_pages(self) -> int:
        size = self._first_two() // 2
        return size if len(self.map) >= 2 * max(size, mmap.PAGESIZE) else 0

    def _first_two(self) -> int:
        """Bytes of the first two pages; 0 where the file has another form."""
        if len(self.map) < _META_PLACE + _META.size:
            return 0
        magic, version, size = _META.unpack_from(self.map, _META_PLACE)
        return 2 * size if magic == _MAGIC and version == _VERSION and 512 <= size <= _LARGEST_PAGE else 0

    def _newest(self) -> _State:
        """What the newer one of the two pages says that say where the tree is."""
        states = (_State(*_STATE.unpack_from(self.map, page + _ROOT_PLACE)) for page in (0, self.page_size))
        return max(states, key=lambda state: state.transaction)

    def _found(self, key: bytes) -> _Found | None:
        try:
            return self._search(key) if self.page_size else None
        except (struct.error, IndexError):  # no tree of that form
            return None

    def _search(self, key: bytes) -> _Found | None:
        size, page = self.page_size, self._state.root
        for _ in range(_DEEPEST):
            if (page + 1) * size > len(self.map):  # also where there is no tree yet
                return None
            start = page * size
            _, flags, end = PAGE.unpack_from(self.map, start)
            count = (end - HEADER) // 2
            if flags & LEAF:
                return self._in_leaf(start, count, key)
            if not flags & BRANCH:
                return None
            low, high, top, _, _ = self._node(start, self._last_not_after(start, 1, count, key))
            page = low | high << 16 | top << 32
        return None

    def _in_leaf(self, start: int, count: int, key: bytes) -> _Found | None:
        index = self._last_not_after(start, 0, count, key)
        if index < 0:
            return None
        low, high, flags, length, place = self._node(start, index)
        if self.map[place : place + length] != key:
            return None
        size = low | high << 16
        if not flags & ELSEWHERE:
            return _Found(size, None)
        (page,) = _NUMBER.unpack_from(self.map, place + length)
        start, length = page * self.page_size, HEADER + size
        return _Found(size, (start, length) if start + length <= len(self.map) else None)

    def _last_not_after(self, start: int, first: int, count: int, key: bytes) -> int:
        """The last node of a page whose key is not greater; `first` - 1 where there is none."""
        while first < count:
            middle = (first + count) // 2
            *_, length, place = self._node(start, middle)
            if self.map[place : place + length] <= key:
                first = middle + 1
            else:
                count = middle
        return first - 1

    def _node(self, start: int, index: int) -> tuple[int, int, int, int, int]:
        """A node's four numbers and the place of its key."""
        (offset,) = struct.unpack_from("<H", self.map, start + HEADER + 2 * index)
        return *NODE.unpack_from(self.map, start + offset), start + offset + NODE.size


def _least_below(branches: Nodes, least: list[bytes]) -> list[bytes]:
    """The key of each page below; LMDB does not look at the first of a branch, below which its own still holds."""
    keys = branches.names()
    for start, end, key in zip(branches.starts.tolist(), branches.starts[1:].tolist(), least, strict=False):
        if start < end:
            keys[start] = key
    return keys
