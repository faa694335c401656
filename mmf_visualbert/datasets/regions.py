"""From an image's key to its region tensors: a feature store and the processor that pads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch import Tensor

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

    def check(self, keys_with_names: Iterable[tuple[str, str]]) -> None:
        """Checks before training that every image has features, and that they have the configured dimension.

        Args:
            keys_with_names: (key of the image, what errors call the record that needs it, as "question 42 in FILE").

        Raises:
            InputError: naming the first image that is missing and how many there are, or the wrong dimension.
        """
        first_missing: tuple[str, str] | None = None
        seen: dict[str, bool] = {}
        for key, name in keys_with_names:
            if key not in seen:
                seen[key] = key in self.store
                if not seen[key] and first_missing is None:
                    first_missing = (key, name)
        if first_missing is not None:
            key, name = first_missing
            missing = sum(not there for there in seen.values())
            raise InputError(
                f"{name} has no region features: '{key}' and {missing - 1} more of {len(seen)} images are not in "
                f"{self._where()}; extract their features, or add the store that has them to `features`"
            )
        if seen:
            key = next(iter(seen))
            self.processor.check(self.store.read(key), f"{key} in {self._where()}")

    def tensors(self, key: str) -> dict[str, Tensor]:
        """The tensors of one image, as `RegionFeatures` gives them."""
        return self.processor(self.store.read(key), key)

    def record(self, key: str) -> RegionRecord:
        """What the store has on one image, for readers that need its boxes."""
        return self.store.read(key)

    def _where(self) -> str:
        return ", ".join(str(path) for path in getattr(self.store, "paths", ())) or "the feature store"
