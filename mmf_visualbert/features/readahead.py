"""Tells the system which bytes of a store are about to be read, while they still come from a disk.

LMDB's binding touches a record's pages one after the other. The system answers each miss with the pages around it, as
many as the disk's read-ahead says: some kilobytes at a time, or megabytes that nobody asked for. In random order both
are slow. Asked for the record as a whole, the disk reads just that, in one go.

The binding tells a record's place only after it has touched all of it, so the place is looked up here, in the pages of
LMDB's tree, whose form has been the same since version 0.9 (data version 1 in `mdb.c`). Nothing but these hints depends
on it: a file of another form gets none.
"""

import mmap
import struct

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_META = struct.Struct("<II16xI")  # magic, version; size of a page; after the page's header
_META_PLACE, _ROOT_PLACE, _TRANSACTION_PLACE = 16, 128, 144
_PAGE = struct.Struct("<8xHHH")  # padding, flags, end of the list of nodes
_NODE = struct.Struct("<HHHH")  # low and high half of data size or page, flags, key size
_LEAF, _BRANCH, _ELSEWHERE = 2, 1, 1
_HEADER = 16  # bytes of a page before its list of nodes, and before the bytes of a long record
_NUMBER = struct.Struct("<Q")
_GAP = 1 << 16  # bytes of other pages between two records that lie one after the other


class Readahead:
    """Hints for one LMDB file with little-endian 64-bit pages; none where it has another form.

    Args:
        file: path of the file.
    """

    def __init__(self, file: str) -> None:
        with open(file, "rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
        self._map.madvise(mmap.MADV_RANDOM)  # of the tree, single pages
        self._page_size = self._size_of_pages()
        self._end = 0  # of the record before

    def will_need(self, key: bytes) -> bool:
        """Has the record's bytes fetched in the background; whether they were asked for.

        Not where its place is unknown, nor where it follows the record before: there the system's own is best.
        """
        place = self.place(key)
        if place is None:
            return False
        start, end = place[0] - place[0] % mmap.PAGESIZE, sum(place)
        in_order = 0 <= start - self._end < _GAP
        self._end = end
        if not in_order:
            self._map.madvise(mmap.MADV_WILLNEED, start, end - start)
        return not in_order

    def place(self, key: bytes) -> tuple[int, int] | None:
        """Where in the file a record begins and how many bytes it has; None for one within the tree's own pages."""
        try:
            return self._search(key) if self._page_size else None
        except (struct.error, IndexError):  # no tree of that form
            return None

    def _size_of_pages(self) -> int:
        if len(self._map) < 2 * mmap.PAGESIZE:
            return 0
        magic, version, size = _META.unpack_from(self._map, _META_PLACE)
        fits = magic == _MAGIC and version == _VERSION and size >= 512 and len(self._map) >= 2 * size
        return size if fits else 0

    def _search(self, key: bytes) -> tuple[int, int] | None:
        size = self._page_size
        newest = max((0, size), key=lambda page: _NUMBER.unpack_from(self._map, page + _TRANSACTION_PLACE))
        (page,) = _NUMBER.unpack_from(self._map, newest + _ROOT_PLACE)
        for _ in range(16):  # levels; a tree of all files that fit on a disk has fewer
            if (page + 1) * size > len(self._map):  # also where there is no tree yet
                return None
            start = page * size
            _, flags, end = _PAGE.unpack_from(self._map, start)
            count = (end - _HEADER) // 2
            if flags & _LEAF:
                return self._in_leaf(start, count, key)
            if not flags & _BRANCH:
                return None
            low, high, top, _, _ = self._node(start, self._last_not_after(start, 1, count, key))
            page = low | high << 16 | top << 32
        return None

    def _in_leaf(self, start: int, count: int, key: bytes) -> tuple[int, int] | None:
        index = self._last_not_after(start, 0, count, key)
        if index < 0:
            return None
        low, high, flags, length, place = self._node(start, index)
        if self._map[place : place + length] != key or not flags & _ELSEWHERE:
            return None
        (page,) = _NUMBER.unpack_from(self._map, place + length)
        start, length = page * self._page_size, _HEADER + (low | high << 16)
        return (start, length) if start + length <= len(self._map) else None

    def _last_not_after(self, start: int, first: int, count: int, key: bytes) -> int:
        """The last node of a page whose key is not greater; `first` - 1 where there is none."""
        while first < count:
            middle = (first + count) // 2
            *_, length, place = self._node(start, middle)
            if self._map[place : place + length] <= key:
                first = middle + 1
            else:
                count = middle
        return first - 1

    def _node(self, start: int, index: int) -> tuple[int, int, int, int, int]:
        """A node's four numbers and the place of its key."""
        (offset,) = struct.unpack_from("<H", self._map, start + _HEADER + 2 * index)
        return *_NODE.unpack_from(self._map, start + offset), start + offset + _NODE.size
