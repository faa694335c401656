"""What a source's arrays mean: which axis of a grid is the channels', whether boxes are pixels or fractions.

What is beyond doubt is taken so and noted; what could as well be something else is refused, with the option that
decides.
"""

import math
from collections.abc import Mapping

import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.boxes import fault, within_image
from mmf_visualbert.features.converters.source import Found, Reading
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.features.suspicions import EDGE, grid_as_regions, like_fractions

Sizes = Mapping[str, tuple[int, int]]

# A grid of a CNN: sides within 3 : 1, not more cells than an image of 2048 pixels has at a stride of 32, channels more
# than four times as many as a side has cells, and 64 at least.
_LONGEST_TO_SHORTEST, _MOST_CELLS, _CHANNELS_TO_SIDE, _FEWEST_CHANNELS = 3, 4096, 4, 64


def interpret(found: Found, key: str, where: str, reading: Reading, sizes: Sizes | None) -> Found:
    """A record with features (N, D) and boxes in pixels within the image, and notes of what was taken for what.

    Args:
        found: what a reader gave.
        key: of the image, by which `sizes` know it.
        where: names the image in messages.
        reading: what the user says.
        sizes: width and height by key, for boxes that are fractions; None where none are given.

    Raises:
        InputError: where it could be read in two ways, or in none.
    """
    features, layout = as_regions(found.record.features, reading.layout, where)
    record, boxes = in_pixels(
        found._replace(record=found.record._replace(features=features)), key, where, reading, sizes
    )
    return Found(record, (", ".join((*found.notes, layout, boxes)),))


def as_regions(features: np.ndarray, layout: str | None, where: str) -> tuple[np.ndarray, str]:
    """Features (N, D), a region for each cell of a grid, and a note of the layout.

    Args:
        features: (N, D), or a grid (D, h, w) or (h, w, D), with axes of length 1 before it or not.
        layout: one of `LAYOUTS`; None where it has to show.
        where: names the image in messages.

    Raises:
        InputError: for several images, or where it does not show which axis is the channels'.
    """
    shape = features.shape
    while features.ndim > 2 and features.shape[0] == 1:
        features = features[0]
    if features.ndim not in (2, 3) or 0 in features.shape:
        raise InputError(
            f"{where} has features of shape {shape}, and (regions, dimension) or the grid of one image is expected; "
            "make a file for each image"
        )
    if features.ndim == 2:
        return _rows(features, layout, where)
    if layout is None:
        fits = [name for name, last in (("channels-first", False), ("channels-last", True)) if _is_grid(features, last)]
        if len(fits) != 1:
            raise InputError(
                f"{where} has features of shape {shape}, which does not show where the channels are; say it with "
                "--layout channels-first or --layout channels-last"
            )
        layout = fits[0]
    if layout == "regions":
        raise InputError(f"{where} has features of shape {shape}, a grid; say --layout channels-first or channels-last")
    cells = features.reshape(len(features), -1).T if layout == "channels-first" else _flat(features)
    return np.ascontiguousarray(cells), f"a region for each cell of a grid with {layout.replace('-', ' ')}"


def _flat(features: np.ndarray) -> np.ndarray:
    return features.reshape(-1, features.shape[-1])


def _rows(features: np.ndarray, layout: str | None, where: str) -> tuple[np.ndarray, str]:
    if layout == "channels-first":
        return np.ascontiguousarray(features.T), "a region for each cell of a flat grid with channels first"
    if layout is None and grid_as_regions(*features.shape):
        rows, columns = features.shape
        raise InputError(
            f"{where} has features of shape {features.shape}, which may be {rows} regions of {columns} numbers or a "
            f"grid of {columns} cells with {rows} channels first; say it with --layout regions or --layout "
            "channels-first"
        )
    return features, "a region for each row"


def _is_grid(features: np.ndarray, channels_last: bool) -> bool:
    *sides, channels = features.shape if channels_last else (*features.shape[1:], features.shape[0])
    return (
        channels >= max(_FEWEST_CHANNELS, _CHANNELS_TO_SIDE * max(sides))
        and max(sides) <= _LONGEST_TO_SHORTEST * min(sides)
        and math.prod(sides) <= _MOST_CELLS
    )


def in_pixels(found: Found, key: str, where: str, reading: Reading, sizes: Sizes | None) -> tuple[RegionRecord, str]:
    """The record with boxes in pixels within its image, and a note of what they were.

    Raises:
        InputError: for boxes that are none, that seem to be fractions where pixels are documented, or fractions of an
            image of unknown size where the user says so.
    """
    record = found.record
    if record.boxes is None:
        return record, "no boxes"
    boxes = record.boxes
    if boxes.shape != (len(record.features), 4):
        raise InputError(
            f"{where} has boxes of shape {boxes.shape} beside {len(record.features)} regions; get or make it again"
        )
    if reading.boxes == "fractions" or (found.fractions and reading.boxes is None):
        return _scaled(record, boxes, key, where, reading, sizes)
    if reading.boxes is None and like_fractions(boxes):
        raise InputError(
            f"{where} has boxes of which nothing lies beyond 1, as fractions of the image; say which they are: --boxes "
            "fractions, or --boxes pixels"
        )
    width, height = _size(record, key, sizes)
    if width is None or height is None:
        wrong = fault(boxes, None, None)
        if wrong is not None:
            raise InputError(f"{where} has {wrong}; get or make its boxes again")
        return record, "boxes in pixels"
    inside = within_image(boxes, width, height, where)
    cut = "" if np.abs(inside - boxes).max() <= 0.5 else ", some cut at the edge of the image, beyond which they reach"
    return record._replace(boxes=inside, width=width, height=height), f"boxes in pixels{cut}"


def _size(record: RegionRecord, key: str, sizes: Sizes | None) -> tuple[int | None, int | None]:
    if record.width and record.height:
        return record.width, record.height
    return (None, None) if sizes is None or key not in sizes else sizes[key]


def _scaled(
    record: RegionRecord, boxes: np.ndarray, key: str, where: str, reading: Reading, sizes: Sizes | None
) -> tuple[RegionRecord, str]:
    wrong = fault(boxes, None, None)
    if wrong is None and not 1 - EDGE <= boxes.min() <= boxes.max() <= EDGE:
        wrong = f"boxes up to {np.abs(boxes).max():g}, which are no fractions"
    if wrong is not None:
        raise InputError(f"{where} has {wrong}; get or make its boxes again, or say --boxes pixels if they are that")
    width, height = _size(record, key, sizes)
    if width is None or height is None:
        if sizes is not None:
            raise InputError(
                f"the image '{key}' has no width and height in the annotations given; give those that have it"
            )
        if reading.boxes is None:
            return record._replace(boxes=None), "boxes as fractions, left out as the size of the image is not known"
        raise InputError(
            f"{where} has boxes as fractions and says nothing of the image's size; give annotations that do: --sizes "
            "FILE"
        )
    pixels = boxes.astype(np.float32) * np.array([width, height] * 2, np.float32)
    return (
        record._replace(boxes=pixels.clip(0, [width, height] * 2), width=width, height=height),
        "boxes as fractions, made pixels",
    )
