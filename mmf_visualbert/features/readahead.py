"""Tells the system which bytes of a store are about to be read, while they still come from a disk.

LMDB's binding touches a record's pages one after the other. The system answers each miss with the pages around it, as
many as the disk's read-ahead says: some kilobytes at a time, or megabytes that nobody asked for. In random order both
are slow. Asked for the record as a whole, the disk reads just that, in one go.

The binding tells a record's place only after it has touched all of it, so the place is looked up in the pages of LMDB's
tree. Nothing but these hints depends on it: a file of another form gets none.
"""

import mmap

from mmf_visualbert.features.pages import Pages

_GAP = 1 << 16  # bytes of other pages between two records that lie one after the other


class Readahead:
    """Hints for one LMDB file; none where its pages have another form.

    Args:
        pages: of the file.
    """

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self._end = 0  # of the record before

    def will_need(self, key: bytes) -> bool:
        """Has the record's bytes fetched in the background; whether they were asked for.

        Not where its place is unknown, nor where it follows the record before: there the system's own is best.
        """
        place = self.pages.place(key)
        if place is None:
            return False
        start, end = place[0] - place[0] % mmap.PAGESIZE, sum(place)
        in_order = 0 <= start - self._end < _GAP
        self._end = end
        if not in_order:
            self.pages.map.madvise(mmap.MADV_WILLNEED, start, end - start)
        return not in_order
