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

    def place(self, key: bytes) -> tuple[int, int] | None:
        """Where in the file a record begins and how many bytes it has; None for one within the tree's own pages."""
        try:
            return self._search(key) if self.page_size else None
        except (struct.error, IndexError):  # no tree of that form
            return None

    def stated_size(self) -> int:
        """Bytes that the file has as far as its newest state says; 0 where it has another form."""
        if not self.page_size:
            return 0
        (last,) = _NUMBER.unpack_from(self.map, self._newest() + _LAST_PLACE)
        return (last + 1) * self.page_size

    def is_cut_off(self) -> bool:
        """Whether something that is in the tree lies beyond the end of the file.

        A file may be shorter than it says, where the pages at its end are free ones: then all that is in it is looked
        through.
        """
        if self.stated_size() <= len(self.map):
            return False
        try:
            (root,) = _NUMBER.unpack_from(self.map, self._newest() + _ROOT_PLACE)
            return root != _NO_PAGE and self._reaches_out(root, 0)
        except (struct.error, IndexError):
            return True

    def _size_of_pages(self) -> int:
        if len(self.map) < 2 * mmap.PAGESIZE:
            return 0
        magic, version, size = _META.unpack_from(self.map, _META_PLACE)
        fits = magic == _MAGIC and version == _VERSION and size >= 512 and len(self.map) >= 2 * size
        return size if fits else 0

    def _newest(self) -> int:
        """Where the newer one of the two pages begins that say where the tree is."""
        return max((0, self.page_size), key=lambda page: _NUMBER.unpack_from(self.map, page + _TRANSACTION_PLACE))

    def _reaches_out(self, page: int, depth: int) -> bool:
        size = self.page_size
        start = page * size
        if start + size > len(self.map) or depth > _DEEPEST:
            return True
        _, flags, end = _PAGE.unpack_from(self.map, start)
        for index in range((end - _HEADER) // 2):
            low, high, node, length, place = self._node(start, index)
            if flags & _BRANCH:
                if self._reaches_out(low | high << 16 | node << 32, depth + 1):
                    return True
            elif node & _ELSEWHERE:
                (first,) = _NUMBER.unpack_from(self.map, place + length)
                if first * size + _HEADER + (low | high << 16) > len(self.map):
                    return True
        return False

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
