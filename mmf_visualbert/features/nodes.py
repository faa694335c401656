"""The nodes of one page of an LMDB file's tree: of a branch the pages below, of a leaf the records.

All nodes of a page are read at once; one after the other they would take as long as opening everything else.
"""

import struct

import numpy as np

PAGE = struct.Struct("<8xHHH")  # padding, flags, end of the list of nodes
NODE = struct.Struct("<HHHH")  # low and high half of data size or page, flags, key size
LEAF, BRANCH, ELSEWHERE = 2, 1, 1
HEADER = 16  # bytes of a page before its list of nodes, and before the bytes of a long record
_EIGHT = np.arange(NODE.size)


class OutsideError(Exception):
    """A page that is none of a tree, or names a place outside of itself or of the file."""


class Nodes:
    """The nodes of a page.

    Args:
        raw: the page's bytes.

    Attributes:
        branch: whether there are pages below; otherwise records.
        pages: (N,) int64, of a branch the pages below.
        sizes: (N,) int64, of a leaf the bytes of its records.
        first_pages: (M,) int64, of a leaf where the records begin that lie in pages of their own.
        long_sizes: (M,) int64, their bytes.

    Raises:
        OutsideError: where it is none of a tree, or a node does not lie wholly in it.
    """

    def __init__(self, raw: bytes) -> None:
        _, flags, end = PAGE.unpack_from(raw)
        if not HEADER <= end <= len(raw) or not flags & (BRANCH | LEAF):
            raise OutsideError
        self.branch = bool(flags & BRANCH)
        self._raw, self._bytes = raw, np.frombuffer(raw, np.uint8)
        offsets = np.frombuffer(raw, "<u2", (end - HEADER) // 2, HEADER).astype(np.int64)
        low, high, top, lengths = self._numbers(offsets, "<u2").T
        self._keys = offsets + NODE.size
        self._ends = self._keys + lengths
        self.pages = low | high << 16 | top << 32
        self.sizes = low | high << 16
        far = top & ELSEWHERE > 0 if not self.branch else np.zeros(len(offsets), bool)
        self.long_sizes = self.sizes[far]
        self.first_pages = self._numbers(self._ends[far], "<u8")[:, 0]
        here = self._ends if self.branch else self._ends + np.where(far, 0, self.sizes)
        if here.max(initial=0) > len(raw):
            raise OutsideError

    def names(self) -> list[bytes]:
        """The keys of all nodes."""
        raw = self._raw
        return [raw[start:end] for start, end in zip(self._keys.tolist(), self._ends.tolist(), strict=True)]

    def _numbers(self, places: np.ndarray, kind: str) -> np.ndarray:
        """(N, 8 bytes of them) int64, the numbers that stand at each place; too large ones are none of this file."""
        try:
            found = self._bytes[places[:, None] + _EIGHT].view(kind)
        except IndexError:
            raise OutsideError from None
        if found.max(initial=0) >> 40:
            raise OutsideError
        return found.astype(np.int64)
