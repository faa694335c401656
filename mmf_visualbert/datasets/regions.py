"""From an image's key to its region tensors: a feature store and the processor that pads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from mmf_visualbert.contracts import RegionQuery, Sample
from mmf_visualbert.datasets.pairs import join_images
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.files import no_garbage_collection
from mmf_visualbert.processors.regions import RegionFeatures

if TYPE_CHECKING:
    from mmf_visualbert.features.store import FeatureStore

logger = logging.getLogger(__name__)

MISSING = ("refuse", "text_only")
_MOST_EMPTY = 4096  # bytes of a record without any region, at most: of MMF's, what stands beside the features


class ImageRegions:
    """The regions of images.

    Args:
        store: where the features are.
        processor: what makes tensors of them.
        missing: what happens where an image has no features or no region: it is refused, or what is about it is read as
            text alone.

    Attributes:
        without: keys of the images that `check` found to have none, where that is no error.
    """

    def __init__(self, store: FeatureStore, processor: RegionFeatures, missing: str = "refuse") -> None:
        if missing not in MISSING:
            raise InputError(f"missing_regions is '{missing}'; set it to one of {', '.join(MISSING)}")
        self.store = store
        self.processor = processor
        self.text_only = missing == "text_only"
        self.without: frozenset[str] = frozenset()
        self._stored = np.dtype(np.float16)

    @no_garbage_collection()
    def check(self, queries: Iterable[RegionQuery]) -> None:
        """Checks before training that every image has features, one region at least, of the configured dimension.

        Where images without regions are no error, they are counted, unless no image has any.

        Raises:
            InputError: naming the first image that is missing or has no region and how many there are, or the wrong
                dimension.
        """
        seen: dict[str, RegionQuery] = {}
        for query in queries:
            seen.setdefault(query.key, query)
        sizes = self.store.sizes(seen)
        missing = [query for key, query in seen.items() if key not in sizes]
        small = [key for key, size in sizes.items() if size <= _MOST_EMPTY]
        empty = [seen[key] for key in small if not len(self.store.read(key).features)]
        lacking = [*missing, *empty]
        if lacking and self.text_only and len(lacking) < len(seen):
            self.without = frozenset(query.key for query in lacking)
            logger.warning(
                "%d of %d images have no regions, what is about them is read as text alone; the first is '%s' of %s",
                *(len(lacking), len(seen), lacking[0].key, lacking[0].where),
            )
        else:
            self._refuse(missing, empty, len(seen))
        key = next((key for key in seen if key not in self.without), None)
        if key is not None:
            record = self.store.read(key)
            self.processor.check(record, f"{key} in {self._where()}")
            self._stored = record.features.dtype

    def _refuse(self, missing: Sequence[RegionQuery], empty: Sequence[RegionQuery], images: int) -> None:
        if missing:
            raise InputError(
                f"{missing[0].where} has no region features: '{missing[0].key}' and {len(missing) - 1} more of "
                f"{images} images are not in {self._where()}; extract their features, add the store that has them to "
                "`features`, or go on without them: missing_regions: text_only"
            )
        if empty:
            raise InputError(
                f"{empty[0].where} is about an image without regions: in '{empty[0].key}' and {len(empty) - 1} more of "
                f"{images} images of {self._where()} the detector found nothing; extract their features with a lower "
                "confidence threshold, or go on without them: missing_regions: text_only"
            )

    def count(self, query: RegionQuery | str) -> int:
        """How many regions an image has, those beyond the processor's `max_regions` left out; 0 where it is missing."""
        key = query if isinstance(query, str) else query.key
        if key in self.without:
            return 0
        return min(len(self.store.read(key).features), self.processor.max_regions)

    def tensors(self, query: RegionQuery | str, max_regions: int | None = None) -> Sample:
        """The tensors of one image, as `RegionFeatures` gives them; padded to the processor's `max_regions`.

        Its key alone is enough, where the record that asks need not be named.
        """
        return self.sequence([RegionQuery(query, f"the image '{query}'") if isinstance(query, str) else query])

    def sequence(self, queries: Sequence[RegionQuery]) -> Sample:
        """The tensors of several images, as `join_images` gives them, R regions an image.

        Features are copied once, from the store to their place in the sequence.
        """
        names = [query.key for query in queries]
        if self.processor.geometry or not self.without.isdisjoint(names):  # needs the boxes, so whole records
            return self.sequence_of_records(names)
        places = _Places(self.processor, len(names))
        try:
            for name in names:
                places.counts.append(self.store.read_into(name, places.next, cut=True))
        except _OtherTypeError:
            return self.sequence_of_records(names)
        return self.processor.finish(places.padded(), places.counts, names)

    def sequence_of_records(self, names: Sequence[str]) -> Sample:
        """The slow twin of `sequence`: each image is read and padded by itself."""
        return join_images(*(self.tensors_of(self.record(name), name) for name in names))

    def record(self, key: str) -> RegionRecord:
        """What the store has on one image, for readers that need its boxes; no region where that is no error."""
        if key not in self.without:
            return self.store.read(key)
        nothing = np.empty((0, self.processor.dimension), self._stored)
        return RegionRecord(nothing, np.empty((0, 4), np.float32))

    def tensors_of(self, record: RegionRecord, key: str) -> Sample:
        """The tensors of an image whose record has been read."""
        return self.nothing() if key in self.without else self.processor(record, key)

    def nothing(self) -> Sample:
        """The tensors of no image, of the stored type."""
        return self.processor.nothing(self._stored)

    def _where(self) -> str:
        return ", ".join(self.store.paths)


class _OtherTypeError(Exception):
    """Features of two images are stored in two types, as two stores may have them."""


class _Places:
    """Room for the features of several images, one after the other.

    Attributes:
        counts: the regions of the images that have been read.
    """

    def __init__(self, processor: RegionFeatures, images: int) -> None:
        self.processor = processor
        self.images = images
        self.counts: list[int] = []
        self._room: Tensor | None = None
        self._rows = np.empty((0, 0))
        self._end = 0

    def next(self, dtype: np.dtype) -> np.ndarray:
        """The rows (R, D) of the next image, whose features are stored as `dtype`."""
        if self._room is None:
            self._room = self.processor.room(dtype, self.images)
            self._rows = self._room.numpy()
        if self._rows.dtype != dtype:
            raise _OtherTypeError
        start = sum(self.counts)
        self._end = start + self.processor.max_regions
        return self._rows[start : self._end]

    def padded(self) -> Tensor:
        """All features, and zeros behind them."""
        assert self._room is not None
        self._rows[self._end :] = 0  # before that, reading the last image has written them
        return self._room
