"""Segmentation polygons as small masks over their boxes, as R2C rasterises them (dataloaders/mask_utils.py)."""

from collections.abc import Sequence

import numpy as np

MASK_SIZE = 14


def box_grid(box: Sequence[float], size: int = MASK_SIZE) -> np.ndarray:
    """The centres of size x size equal cells of a box, row by row: (size * size, 2) float64, x and y in pixels.

    Args:
        box: x1, y1, x2, y2 in pixels of the original frame.
    """
    cells = (np.arange(size) + 0.5) / size
    x = box[0] + cells * (box[2] - box[0])
    y = box[1] + cells * (box[3] - box[1])
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def inside_polygon(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Which points lie inside a closed polygon, by the parity of the edges that a ray to the right crosses.

    Args:
        points: (P, 2) x and y.
        polygon: (V, 2) vertices in order; the last is joined to the first. Fewer than 3 enclose nothing.

    Returns:
        (P,) bool. An edge holds its lower end but not its upper one, so that a vertex is crossed once.
    """
    if len(polygon) < 3:
        return np.zeros(len(points), dtype=bool)
    x, y = points[:, :1], points[:, 1:]  # (P, 1)
    x1, y1 = polygon[:, 0], polygon[:, 1]  # (V,)
    x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
    straddles = (y1 > y) != (y2 > y)  # (P, V)
    rise = np.where(y2 == y1, 1.0, y2 - y1)  # level edges straddle nothing
    crossed = straddles & (x < x1 + (y - y1) * (x2 - x1) / rise)
    return (crossed.sum(axis=1) % 2).astype(bool)


def rasterise(box: Sequence[float], polygons: Sequence[np.ndarray], size: int = MASK_SIZE) -> np.ndarray:
    """The union of polygons on a grid of interior points of their box: (size, size) float32 of 0 and 1, row = y.

    Args:
        box: x1, y1, x2, y2 in pixels of the original frame.
        polygons: each (V, 2), x and y in the same pixels; none gives an empty mask.
    """
    points = box_grid(box, size)
    inside = np.zeros(len(points), dtype=bool)
    for polygon in polygons:
        inside |= inside_polygon(points, np.asarray(polygon, dtype=np.float64).reshape(-1, 2))
    return inside.reshape(size, size).astype(np.float32)
