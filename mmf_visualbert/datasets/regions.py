"""From an image's key to its region tensors: a feature store and the processor that pads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mmf_visualbert.contracts import RegionQuery, Sample
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.regions import RegionFeatures

if TYPE_CHECKING:
    from mmf_visualbert.features.store import FeatureStore, RegionRecord


class ImageRegions:
    """The regions of images.

    Args:
        store: where the features are.
        processor: what makes tensors of them.
    """

    def __init__(self, store: FeatureStore, processor: RegionFeatures) -> None:
        self.store = store
        self.processor = processor

    def check(self, queries: Iterable[RegionQuery]) -> None:
        """Checks before training that every image has features, and that they have the configured dimension.

        Raises:
            InputError: naming the first image that is missing and how many there are, or the wrong dimension.
        """
        first_missing: RegionQuery | None = None
        seen: dict[str, bool] = {}
        for query in queries:
            if query.key not in seen:
                seen[query.key] = query.key in self.store
                if not seen[query.key] and first_missing is None:
                    first_missing = query
        if first_missing is not None:
            others = f"{sum(not there for there in seen.values()) - 1} more of {len(seen)} images"
            raise InputError(
                f"{first_missing.where} has no region features: '{first_missing.key}' and {others} are not in "
                f"{self._where()}; extract their features, or add the store that has them to `features`"
            )
        if seen:
            key = next(iter(seen))
            self.processor.check(self.store.read(key), f"{key} in {self._where()}")

    def tensors(self, query: RegionQuery, max_regions: int | None = None) -> Sample:
        """The tensors of one image, as `RegionFeatures` gives them; padded to the processor's `max_regions`."""
        return self.processor(self.store.read(query.key), query.key)

    def record(self, key: str) -> RegionRecord:
        """What the store has on one image, for readers that need its boxes."""
        return self.store.read(key)

    def _where(self) -> str:
        return ", ".join(self.store.paths)
