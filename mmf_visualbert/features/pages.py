"""The pages of an LMDB file: where a record lies, and whether the file ends before its last page.

Their form has been the same since version 0.9 (data version 1 in `mdb.c`). A file of another form has no places here,
and is left to LMDB.
"""

import mmap
import struct

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_META = struct.Struct("<II16xI")  # magic, version; size of a page; after the page's header
_META_PLACE, _ROOT_PLACE, _LAST_PLACE, _TRANSACTION_PLACE = 16, 128, 136, 144
_PAGE = struct.Struct("<8xHHH")  # padding, flags, end of the list of nodes
_NODE = struct.Struct("<HHHH")  # low and high half of data size or page, flags, key size
_LEAF, _BRANCH, _ELSEWHERE = 2, 1, 1
_LARGEST_PAGE = 1 << 16
_HEADER = 16  # bytes of a page before its list of nodes, and before the bytes of a long record
_NUMBER = struct.Struct("<Q")
_NO_PAGE = (1 << 64) - 1
_DEEPEST = 16  # levels; a tree of all files that fit on a disk has fewer


class Pages:
    """One LMDB file with little-endian 64-bit pages, mapped.

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
        self._left = 0  # pages that `fault` may still look at

    def place(self, key: bytes) -> tuple[int, int] | None:
        """Where in the file a record begins and how many bytes it has; None for one within the tree's own pages."""
        try:
            return self._search(key) if self.page_size else None
        except (struct.error, IndexError):  # no tree of that form
            return None

    def stated_size(self) -> int:
        """Bytes that the file has as far as its newest state says; 0 where it has another form.

        Of a file that ends amid its first two pages, which say where the tree is, those two.
        """
        if not self.page_size:
            return self._first_two() if self._first_two() > len(self.map) else 0
        (last,) = _NUMBER.unpack_from(self.map, self._newest() + _LAST_PLACE)
        return (last + 1) * self.page_size

    def fault(self) -> str | None:
        """What is wrong with the tree, whose pages are all looked at; None where nothing is.

        LMDB believes what stands in a page, and whoever reads behind the end of a file ends the process. A file may be
        shorter than it says, where the pages at its end are free ones.
        """
        short = self.stated_size() > len(self.map)
        cut_off = f"cut off: {len(self.map)} of {self.stated_size()} bytes are there" if short else None
        if not self.page_size:
            return cut_off
        self._left = len(self.map) // self.page_size
        try:
            (root,) = _NUMBER.unpack_from(self.map, self._newest() + _ROOT_PLACE)
            outside = root != _NO_PAGE and self._leads_outside(root, 0)
        except (struct.error, IndexError):
            outside = True
        return (cut_off or "damaged: its pages lead out of the file") if outside else None

    def _size_of_pages(self) -> int:
        size = self._first_two() // 2
        return size if len(self.map) >= 2 * max(size, mmap.PAGESIZE) else 0

    def _first_two(self) -> int:
        """Bytes of the first two pages; 0 where the file has another form."""
        if len(self.map) < _META_PLACE + _META.size:
            return 0
        magic, version, size = _META.unpack_from(self.map, _META_PLACE)
        return 2 * size if magic == _MAGIC and version == _VERSION and 512 <= size <= _LARGEST_PAGE else 0

    def _newest(self) -> int:
        """Where the newer one of the two pages begins that say where the tree is."""
        return max((0, self.page_size), key=lambda page: _NUMBER.unpack_from(self.map, page + _TRANSACTION_PLACE))

    def _leads_outside(self, page: int, depth: int) -> bool:
        """Whether a page, or one below it, names a place outside of itself or of the file."""
        size = self.page_size
        start = page * size
        self._left -= 1  # a page that is come to twice is one that leads to itself
        if start + size > len(self.map) or depth > _DEEPEST or self._left < 0:
            return True
        _, flags, end = _PAGE.unpack_from(self.map, start)
        if not _HEADER <= end <= size:
            return True
        below = start + size
        for index in range((end - _HEADER) // 2):
            low, high, node, length, place = self._node(start, index)
            if flags & _BRANCH:
                if place + length > below or self._leads_outside(low | high << 16 | node << 32, depth + 1):
                    return True
            elif not node & _ELSEWHERE:
                if place + length + (low | high << 16) > below:
                    return True
            elif place + length + _NUMBER.size > below or self._ends_outside(place + length, low | high << 16):
                return True
        return False

    def _ends_outside(self, place: int, length: int) -> bool:
        """Whether a long record, whose first page's number stands at `place`, is not wholly in the file."""
        (first,) = _NUMBER.unpack_from(self.map, place)
        return first * self.page_size + _HEADER + length > len(self.map)

    def _search(self, key: bytes) -> tuple[int, int] | None:
        size = self.page_size
        (page,) = _NUMBER.unpack_from(self.map, self._newest() + _ROOT_PLACE)
        for _ in range(_DEEPEST):
            if (page + 1) * size > len(self.map):  # also where there is no tree yet
                return None
            start = page * size
            _, flags, end = _PAGE.unpack_from(self.map, start)
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
        if self.map[place : place + length] != key or not flags & _ELSEWHERE:
            return None
        (page,) = _NUMBER.unpack_from(self.map, place + length)
        start, length = page * self.page_size, _HEADER + (low | high << 16)
        return (start, length) if start + length <= len(self.map) else None

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
        (offset,) = struct.unpack_from("<H", self.map, start + _HEADER + 2 * index)
        return *_NODE.unpack_from(self.map, start + offset), start + offset + _NODE.size
