"""The nodes of pages of an LMDB file's tree: of branches the pages below, of leaves the records.

Those of many pages are read at once; one after the other they would take as long as opening everything else.
"""

import struct

import numpy as np

PAGE = struct.Struct("<8xHHH")  # padding, flags, end of the list of nodes
NODE = struct.Struct("<HHHH")  # low and high half of data size or page, flags, key size
LEAF, BRANCH, ELSEWHERE = 2, 1, 1
HEADER = 16  # bytes of a page before its list of nodes, and before the bytes of a long record
_FLAGS, _END = 5, 6  # places of numbers of two bytes in a page's header
_EIGHT = np.arange(NODE.size)


class OutsideError(Exception):
    """A page that is none of a tree, or names a place outside of itself or of the file."""


class Nodes:
    """The nodes of some pages of one kind, in their order; N nodes of P pages.

    Args:
        raw: the pages' bytes, one page after the other.
        page_size: of each.

    Attributes:
        branch: whether there are pages below; otherwise records.
        starts: (P + 1,) int64, where each page's nodes begin among all, and where the last one's end.
        pages: (N,) int64, of branches the pages below.
        sizes: (N,) int64, of leaves the bytes of their records.
        first_pages: (M,) int64, of leaves where the records begin that lie in pages of their own.
        long_sizes: (M,) int64, their bytes.

    Raises:
        OutsideError: where a page is none of a tree or of another kind, or a node does not lie wholly in its page.
    """

    def __init__(self, raw: bytes, page_size: int) -> None:
        if page_size % 2:
            raise OutsideError
        self._raw, self._bytes = raw, np.frombuffer(raw, np.uint8)
        shorts = np.frombuffer(raw, "<u2").reshape(-1, page_size // 2)
        kinds, ends = shorts[:, _FLAGS] & (BRANCH | LEAF), shorts[:, _END].astype(np.int64)
        if (kinds != kinds[0]).any() or kinds[0] == 0 or ends.min() < HEADER or ends.max() > page_size:
            raise OutsideError
        self.branch = bool(kinds[0] & BRANCH)
        counts = (ends - HEADER) // 2
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        places = shorts[:, HEADER // 2 : HEADER // 2 + counts.max()]
        offsets = places[np.arange(places.shape[1]) < counts[:, None]].astype(np.int64)
        before = np.repeat(np.arange(len(shorts)) * page_size, counts)  # bytes before each node's page
        self._read(before, offsets, page_size)

    def _read(self, before: np.ndarray, offsets: np.ndarray, page_size: int) -> None:
        low, high, top, lengths = self._numbers(before + offsets, "<u2").T
        ends = offsets + NODE.size + lengths
        self._keys, self._ends = before + offsets + NODE.size, before + ends
        self.pages = low | high << 16 | top << 32
        self.sizes = low | high << 16
        far = np.zeros(len(offsets), bool) if self.branch else top & ELSEWHERE > 0
        here = np.where(far, NODE.size, 0 if self.branch else self.sizes)  # of a long record, its first page's number
        if (ends + here > page_size).any():
            raise OutsideError
        self.long_sizes = self.sizes[far]
        self.first_pages = self._numbers(self._ends[far], "<u8")[:, 0]

    def names(self) -> list[bytes]:
        """The keys of all nodes."""
        raw = self._raw
        return [raw[start:end] for start, end in zip(self._keys.tolist(), self._ends.tolist(), strict=True)]

    def _numbers(self, places: np.ndarray, kind: str) -> np.ndarray:
        """(N, 8 bytes of them) int64, the numbers that stand at each place; too large ones are none of a file."""
        try:
            found = self._bytes[places[:, None] + _EIGHT].view(kind)
        except IndexError:
            raise OutsideError from None
        if found.max(initial=0) >> 40:
            raise OutsideError
        return found.astype(np.int64)
