"""Boxes that are given instead of proposed: ground truth, VCR's, or another detector's."""

from pathlib import Path
from typing import Annotated, Protocol, TypeAlias

import numpy as np
from msgspec import Meta, Raw, Struct

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction.images import ImageFile, Size
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.files.typed import Name, Schema

BESIDE = "beside"
Box: TypeAlias = Annotated[list[float], Meta(min_length=4, max_length=16)]


class BesideImage(Struct, gc=False):
    """The `.json` beside an image, as VCR's metadata: its boxes are all that matters here."""

    boxes: list[Box]


class Line(Struct, gc=False):
    """A line of a `.jsonl` file."""

    image: Name
    boxes: Raw


_MEND = "write boxes as lists of x1, y1, x2, y2 in pixels, as docs/features.md has them"
BESIDE_IMAGE = Schema(BesideImage, f"put the image's metadata beside it, or {_MEND}")
LINE = Schema(Line, _MEND)
BY_IMAGE = Schema(dict[str, Raw], _MEND)
BOXES = Schema(list[Box], _MEND)


class GivenBoxes(Protocol):
    """A source of boxes by image."""

    def __call__(self, file: ImageFile) -> np.ndarray:
        """Boxes (N, 4) float32, x1, y1, x2, y2 in pixels of the image.

        Raises:
            InputError: where there are none for this image, or they are no boxes.
        """


def given_boxes(source: str) -> GivenBoxes:
    """Boxes from `beside` (a `.json` beside each image, as VCR's metadata), a `.json` or `.jsonl` file, or a store.

    A `.json` file maps keys to lists of boxes; a line of a `.jsonl` file is `{"image": key, "boxes": [...]}`. Numbers
    after the first four of a box (a confidence) are left out.

    Raises:
        InputError: where the source is nothing of this.
    """
    if source == BESIDE:
        return _beside
    if source.endswith((".json", ".jsonl")):
        return _from_file(source)
    store = FeatureStore(source)
    _ = store.files  # a store that is missing is said now

    def of_store(file: ImageFile) -> np.ndarray:
        boxes = store.read(file.key).boxes
        if boxes is None:
            raise InputError(f"{source} has no boxes for '{file.key}'; take a store with boxes")
        return np.array(boxes)

    return of_store


def check_boxes(boxes: np.ndarray, size: Size, where: str) -> None:
    """Refuses boxes that are not within the image. Half a pixel over its edge is rounding, and allowed.

    Args:
        boxes: (N, 4) float32.
        size: of the image.
        where: names boxes and image in messages.

    Raises:
        InputError: naming the first wrong box.
    """
    limits = np.array([*size, *size], np.float32) + 0.5
    wrong = (boxes < -0.5) | (boxes > limits) | ~np.isfinite(boxes)
    wrong[:, 2:] |= boxes[:, 2:] < boxes[:, :2]
    if wrong.any():
        first = int(wrong.any(1).argmax())
        box = ", ".join(f"{value:g}" for value in boxes[first])
        raise InputError(
            f"box {first} of {where} is ({box}) in an image of {size.width} x {size.height}; "
            "give x1, y1, x2, y2 in pixels of the image"
        )


def _beside(file: ImageFile) -> np.ndarray:
    path = Path(file.path).with_suffix(".json")
    return _array(BESIDE_IMAGE.read(path).boxes, str(path))


def _from_file(source: str) -> GivenBoxes:
    if source.endswith(".jsonl"):
        boxes = {line.image: line.boxes for _, line in LINE.read_lines(source)}
    else:
        boxes = BY_IMAGE.read(source)

    def of_file(file: ImageFile) -> np.ndarray:
        if file.key not in boxes:
            raise InputError(f"{source} has no boxes for the image '{file.key}'; add them, or leave the image out")
        where = f"{source}, '{file.key}'"
        return _array(BOXES.decode(boxes[file.key], where), where)

    return of_file


def _array(boxes: list[Box], where: str) -> np.ndarray:
    if not boxes:
        raise InputError(f"{where} has no box; add one, or leave the image out")
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused as outside the image
        return np.array([box[:4] for box in boxes], np.float64).astype(np.float32).reshape(-1, 4)
