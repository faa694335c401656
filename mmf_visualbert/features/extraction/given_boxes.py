"""Boxes that are given instead of proposed: ground truth, VCR's, or another detector's."""

from pathlib import Path
from typing import Protocol

import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction.images import ImageFile, Size
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.files import read_json, read_json_lines

BESIDE = "beside"


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
    try:
        boxes = read_json(path)["boxes"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is missing or has no 'boxes'; put the image's metadata beside it") from None
    return _array(boxes, str(path))


def _from_file(source: str) -> GivenBoxes:
    try:
        if source.endswith(".jsonl"):
            boxes = {line["image"]: line["boxes"] for _, line in read_json_lines(source)}
        else:
            boxes = dict(read_json(source))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{source} cannot be read as boxes of images ({error}); see docs/features.md") from None

    def of_file(file: ImageFile) -> np.ndarray:
        if file.key not in boxes:
            raise InputError(f"{source} has no boxes for the image '{file.key}'; add them, or leave the image out")
        return _array(boxes[file.key], f"{source}, '{file.key}'")

    return of_file


def _array(boxes: object, where: str) -> np.ndarray:
    try:
        array = np.array([box[:4] for box in boxes], np.float32).reshape(-1, 4)  # type: ignore[attr-defined]
    except (TypeError, ValueError, IndexError, KeyError):
        raise InputError(f"{where} has boxes that are not lists of x1, y1, x2, y2; correct them") from None
    if not len(array):
        raise InputError(f"{where} has no box; add one, or leave the image out")
    return array
