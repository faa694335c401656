"""Signs that features or boxes are not what they were taken for.

A converter asks before it writes, `visualbert features check` in a store that is written.
"""

import numpy as np

from mmf_visualbert.features.records import RegionRecord

_FEWEST_ROWS = 256  # as many channels a grid has at least; more regions than that no detector gives an image
_SAMPLE = 4096  # numbers that are looked at
# Features of one network lie within some powers of two of each other. The halves of other numbers, put together, are
# spread over all that a float32 can be.
_MOST_OCTAVES, _LARGEST = 24, 1e5
# Boxes of a detector may reach a little beyond the image, by rounding.
EDGE = 1.01


def grid_as_regions(count: int, dimension: int) -> bool:
    """Whether (count, dimension) is rather a grid with its channels first, flattened, than so many regions."""
    return count >= _FEWEST_ROWS and count > dimension


def surely_grid_as_regions(count: int, dimension: int) -> bool:
    """The same of a store, where a fine grid may have more cells than channels: far more rows than numbers in each."""
    return count >= _FEWEST_ROWS and count >= 4 * dimension


def plausible(values: np.ndarray) -> bool:
    """Whether numbers can be features: finite, not huge, and nine tenths of them within 24 powers of two."""
    flat = values.reshape(-1)
    sample = flat[:: flat.size // _SAMPLE | 1].astype(np.float64)  # an odd step, which meets all parts of other numbers
    if not np.isfinite(sample).all():
        return False
    sizes = np.abs(sample[sample != 0])
    if not sizes.size:
        return True
    low, high = np.quantile(sizes, [0.05, 0.95])
    return bool(sizes.max() < _LARGEST and high < low * 2.0**_MOST_OCTAVES)


def like_other_numbers(raw: bytes | memoryview) -> str | None:
    """The type as which bytes are plausible features, where they are none as float32; None where they are, or are
    nothing at all.
    """
    with np.errstate(all="ignore"):
        if len(raw) % 4 == 0 and plausible(np.frombuffer(raw, "<f4")):
            return None
        for dtype, size in (("float16", 2), ("float64", 8)):
            if len(raw) % size == 0 and plausible(np.frombuffer(raw, f"<f{size}")):
                return dtype
    return None


def like_fractions(boxes: np.ndarray) -> bool:
    """Whether boxes (N, 4) are rather fractions of an image's sides than pixels: nothing of them lies beyond 1."""
    return len(boxes) > 0 and bool((boxes >= 1 - EDGE).all() and (boxes <= EDGE).all())


def suspicion(record: RegionRecord) -> str | None:
    """What of a stored record is rather something else than it was taken for, in words; None where nothing is."""
    features, boxes = record.features, record.boxes
    if surely_grid_as_regions(*features.shape):
        return (
            f"features of shape {features.shape}, as of a grid whose channels stand first and were taken for regions; "
            "convert its source again with --layout channels-first"
        )
    if not plausible(features) and (
        features.dtype.itemsize == 2 or like_other_numbers(np.ascontiguousarray(features).tobytes())
    ):
        return (
            "features spread over all that their type can be, as numbers of another type that were taken for it; "
            "convert its source again with --dtype-of-source"
        )
    if boxes is not None and like_fractions(boxes) and (record.width or 2) > 1 and (record.height or 2) > 1:
        return (
            "boxes of which nothing lies beyond 1, as fractions that were taken for pixels; convert its source again "
            "with --boxes fractions"
        )
    return None
