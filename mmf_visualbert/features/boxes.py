"""Boxes as they are read: checked where they come in, so that no number that is none reaches a model."""

from collections.abc import Sequence

import numpy as np

from mmf_visualbert.errors import InputError

# How far a box that is read may reach beyond its image: detectors round, resize and count from 0 or 1.
BEYOND_PIXELS, BEYOND_SHARE = 2.0, 0.02


def boxes_of_lists(lists: Sequence[object], where: str, most: int = 4) -> np.ndarray:
    """(N, 4) float32 of lists of x1, y1, x2, y2.

    Args:
        lists: one a box.
        where: names boxes and image in messages.
        most: numbers a list may have; those after the fourth (a confidence) are left out.

    Raises:
        InputError: naming the first that is no list of so many numbers.
    """
    corners = []
    for number, box in enumerate(lists):
        if not isinstance(box, list | tuple) or not 4 <= len(box) <= most or not all(map(_is_number, box[:4])):
            raise InputError(
                f"box {number} of {where} is {str(box)[:80]}, and four numbers x1, y1, x2, y2 are expected; correct it"
            )
        corners.append(box[:4])
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused as that
        return np.array(corners, np.float64).astype(np.float32).reshape(-1, 4)


def _is_number(value: object) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 1 << 53)


def fault(boxes: np.ndarray, width: float | None, height: float | None, beyond: float | None = None) -> str | None:
    """What is wrong with boxes (N, 4) of an image, in words; None where nothing is.

    Args:
        boxes: x1, y1, x2, y2 in pixels.
        width, height: of the image; None where unknown.
        beyond: pixels that a box may reach beyond the image; by default 2, or 2 % of its side.
    """
    endless: np.ndarray = ~np.isfinite(boxes)
    if endless.any():
        return f"{_shown(boxes, endless)}, numbers that are not finite"
    swapped: np.ndarray = boxes[:, 2:] < boxes[:, :2]
    if swapped.any():
        return f"{_shown(boxes, swapped)}, a right or lower edge before the left or upper one"
    if width is None or height is None:
        return None
    sides = np.array([width, height, width, height], np.float64)
    room = np.maximum(BEYOND_PIXELS, BEYOND_SHARE * sides) if beyond is None else beyond
    outside: np.ndarray = (boxes < -room) | (boxes > sides + room)
    return f"{_shown(boxes, outside)}, outside the image of {width} x {height}" if outside.any() else None


def _shown(boxes: np.ndarray, which: np.ndarray) -> str:
    first = int(which.any(1).argmax())
    return f"box {first} at {', '.join(f'{value:g}' for value in boxes[first])}"


def within_image(boxes: np.ndarray, width: int, height: int, where: str) -> np.ndarray:
    """Boxes cut at the edges of their image, beyond which they may reach by rounding.

    Raises:
        InputError: where they are no boxes of this image.
    """
    wrong = fault(boxes, width, height)
    if wrong is not None:
        raise InputError(f"{where} has {wrong}; get or make its boxes again")
    return boxes.clip(0, [width, height] * 2).astype(np.float32)
