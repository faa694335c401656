"""The regions of one image as fixed-shape tensors (§3.2; §4.4 for the geometry)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.batch_room import room_of_sample

if TYPE_CHECKING:
    from mmf_visualbert.features.store import RegionRecord

GEOMETRY = 6
# Bit patterns from which on a float is infinite or no number: signed for positive, unsigned for negative ones.
_INFINITE = {
    np.dtype(np.float16): (np.int16, 0x7C00, np.uint16, 0xFC00),
    np.dtype(np.float32): (np.int32, 0x7F800000, np.uint32, 0xFF800000),
}


@register("processor", "visualbert_regions")
class RegionFeatures:
    """Checks a record of region features, cuts or pads it to `max_regions`, and keeps its dtype.

    Records are ordered by the detector's confidence, so the first `max_regions` are the best ones.

    Args:
        max_regions: R; 100 for VQA (Appendix A), 144 an image for NLVR2 (§4.3).
        dimension: D, width of the stored features, geometry not counted.
        geometry: append [x1/W, y1/H, x2/W, y2/H, w/W, h/H] to each region (BAN's, used for Flickr30K: 2048 + 6).
    """

    def __init__(self, max_regions: int = 100, dimension: int = 2048, geometry: bool = False) -> None:
        if max_regions < 1 or dimension < 1:
            raise InputError(f"max_regions {max_regions} and dimension {dimension} have to be 1 or more; set them so")
        self.max_regions = max_regions
        self.dimension = dimension
        self.geometry = geometry

    @property
    def output_dimension(self) -> int:
        """Width of `region_features`: what the model's visual projection has to take."""
        return self.dimension + (GEOMETRY if self.geometry else 0)

    def __call__(self, record: RegionRecord, name: str = "") -> dict[str, Tensor]:
        """The tensors of one image.

        Args:
            record: features (N, D) float16 or float32, boxes (N, 4) in pixels.
            name: what errors call the record (its key).

        Returns:
            As `finish`; `region_features` have the record's dtype.

        Raises:
            InputError: no region, another dimension, NaN or infinity, or boxes missing where they are needed.
        """
        self.check(record, name)
        features = record.features[: self.max_regions]
        count = len(features)
        padded = self.room(features.dtype)
        filled = padded.numpy()
        filled[:count, : self.dimension] = features
        filled[count:] = 0
        tensors = self.finish(padded, [count], [name])
        if self.geometry:
            fractions = box_fractions(record, name)[:count]
            filled[:count, self.dimension : self.dimension + 4] = fractions
            filled[:count, self.dimension + 4 :] = fractions[:, 2:] - fractions[:, :2]
        return tensors

    def nothing(self, dtype: np.dtype = np.dtype(np.float16)) -> dict[str, Tensor]:  # noqa: B008
        """The tensors of an example without an image: no region at all. `dtype`: of the features of others."""
        return {
            "region_features": self.room(dtype).zero_(),
            "region_mask": torch.zeros(self.max_regions, dtype=torch.bool),
            "region_segments": torch.zeros(self.max_regions, dtype=torch.int64),
        }

    def room(self, dtype: np.dtype, images: int = 1) -> Tensor:
        """Room for the features of a sample's images, (images · R, D), D + 6 with geometry.

        What is in it has no meaning. Where a batch is being made, it is their place there.
        """
        kind = torch.float16 if dtype.itemsize == 2 else torch.float32
        return room_of_sample((images * self.max_regions, self.output_dimension), kind)

    def finish(self, padded: Tensor, counts: Sequence[int], names: Sequence[str]) -> dict[str, Tensor]:
        """The tensors of images whose features stand in `padded`, one image after the other, and then zeros.

        Args:
            padded: as `room` gives it.
            counts: regions of each image.
            names: what errors call the images.

        Returns:
            `region_features` (R, D), `padded` itself, R being the rows that it has; `region_mask` (R,) bool;
            `region_segments` (R,) int64, the number of the region's image, and 0 where there is no region.

        Raises:
            InputError: no region in an image, NaN or infinity.
        """
        rows, end = padded.numpy(), 0
        mask, segments = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.int64)
        for number, (count, name) in enumerate(zip(counts, names, strict=True)):
            if count == 0:
                raise InputError(
                    f"the image '{name}' has no region; extract its features with a lower confidence threshold"
                )
            if not_finite(rows[end : end + count, : self.dimension]):
                raise InputError(
                    f"the region features of '{name}' contain NaN or infinity; extract the features of this image again"
                )
            if number:
                segments[end : end + count] = number
            end += count
        mask[:end] = True
        return {
            "region_features": padded,
            "region_mask": torch.from_numpy(mask),
            "region_segments": torch.from_numpy(segments),
        }

    def check(self, record: RegionRecord, name: str) -> None:
        """Raises InputError where shape or dtype of the features is not what the configuration says."""
        features = record.features
        if features.ndim != 2 or features.dtype not in _INFINITE:
            raise InputError(
                f"the region features of '{name}' are {features.dtype} of shape {features.shape} instead of float16 or "
                "float32 (regions, dimension); extract or convert them again"
            )
        if features.shape[1] != self.dimension:
            raise InputError(
                f"the region features of '{name}' have dimension {features.shape[1]}, the configuration's "
                f"region_processor says dimension {self.dimension}; set it to {features.shape[1]} or use other features"
            )


def box_fractions(record: RegionRecord, name: str = "") -> np.ndarray:
    """Boxes (N, 4) float32 as fractions of the image's width and height, x1, y1, x2, y2.

    Raises:
        InputError: where the record has no boxes or no image size.
    """
    if record.boxes is None or not record.width or not record.height:
        raise InputError(
            f"the record of '{name}' has no boxes or no image size, which the region_processor needs for "
            "geometry; extract features with boxes, or set `geometry: false`"
        )
    size = np.array([record.width, record.height] * 2, dtype=np.float32)
    return np.asarray(record.boxes, dtype=np.float32) / size


def not_finite(values: np.ndarray) -> bool:
    """Whether there is a NaN or an infinity in `values` (float16 or float32), without a temporary array of its size."""
    signed, positive, unsigned, negative = _INFINITE[values.dtype]
    return values.size > 0 and bool(values.view(signed).max() >= positive or values.view(unsigned).max() >= negative)
