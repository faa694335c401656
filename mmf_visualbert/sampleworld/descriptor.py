"""A fixed descriptor of image regions: what the sample world uses in place of a trained detector's features.

It looks at pixels and box only, never at the scene behind them. Every step is fixed (the world's seed plays no part),
so that features of two worlds are comparable, as those of one detector would be.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from mmf_visualbert.sampleworld.scene import UNIT_OUTLINES
from mmf_visualbert.sampleworld.words import COLORS, SHAPES

GRID = 20
"""A crop is sampled at GRID x GRID points."""
FORM = 12
"""Side of the normalised mask of the crop's main colour."""
CHROMA = 62
"""Difference of the largest and smallest RGB channel from which a pixel counts as coloured."""
SHARPNESS = 18.0
"""How strongly the best fitting shape stands out: softmax factor on the intersection over union with each shape."""


class Description(NamedTuple):
    """What is measured of N regions, before projection.

    colors: (N, 6 + 1) share of each named colour and of grey.
    main: (N,) int64 index of the main colour, -1 where nothing is coloured.
    likeness: (N, 5) resemblance to each shape; rows sum to 1 for a whole shape and to 0 where nothing is coloured.
    form: (N, 16) the normalised mask at 4 x 4.
    moments: (N, 6) filled share of the crop, of the mask's own box, and that box in the crop.
    means: (N, 6) mean and standard deviation of each RGB channel, 0..1.
    places: (N, 11) x1, y1, x2, y2, width, height, centre x, centre y as fractions, the root of the area, and how far
        the centre lies in the right and in the lower half, -1..1.
    """

    colors: np.ndarray
    main: np.ndarray
    likeness: np.ndarray
    form: np.ndarray
    moments: np.ndarray
    means: np.ndarray
    places: np.ndarray

    def vector(self) -> np.ndarray:
        """Everything side by side, (N, LENGTH) float32, in the order of PARTS."""
        presence = np.eye(len(COLORS) + 1, dtype=np.float32)[self.main]
        parts = [presence, np.sqrt(self.colors), self.likeness, self.form, self.moments, self.means, self.places]
        return np.concatenate(parts, axis=1).astype(np.float32)


PARTS: tuple[tuple[str, int, float], ...] = (
    ("main color", len(COLORS) + 1, 1.6),
    ("colors", len(COLORS) + 1, 0.5),
    ("likeness", len(SHAPES), 1.6),
    ("form", 16, 0.3),
    ("moments", 6, 0.7),
    ("means", 6, 0.4),
    ("places", 11, 1.4),
)
"""Part of the vector, its length, and its weight beside the others once all are standardised."""
WEIGHTS = np.concatenate([np.full(length, weight, dtype=np.float32) for _, length, weight in PARTS])
LENGTH = len(WEIGHTS)


def describe(pixels: np.ndarray, boxes: np.ndarray) -> Description:
    """Describes the regions `boxes` (N, 4) xyxy in pixels of the picture `pixels` (H, W, 3) uint8."""
    height, width = pixels.shape[:2]
    steps = (np.arange(GRID) + 0.5) / GRID
    columns = _inside(boxes[:, 0:1] + steps * (boxes[:, 2:3] - boxes[:, 0:1]), width)
    rows = _inside(boxes[:, 1:2] + steps * (boxes[:, 3:4] - boxes[:, 1:2]), height)
    crops = pixels.reshape(-1, 3)[(rows[:, :, None] * width + columns[:, None, :]).reshape(len(boxes), -1)]
    crops = np.ascontiguousarray(crops.transpose(2, 0, 1), dtype=np.float32)
    names = _color_names(crops)
    shares = _totals(names, np.full(GRID * GRID, 1 / (GRID * GRID)))
    main = _main_color(names)
    masks = ((names == main[:, None]) & (main >= 0)[:, None]).reshape(-1, GRID, GRID)
    forms, spans = _normalised(masks)
    filled = np.stack([masks.mean(axis=(1, 2)), forms.mean(axis=(1, 2))], axis=1)
    return Description(
        colors=shares,
        main=main,
        likeness=_likeness(forms),
        form=forms.reshape(-1, 4, FORM // 4, 4, FORM // 4).mean(axis=(2, 4)).reshape(-1, 16),
        moments=np.concatenate([filled, spans], axis=1),
        means=np.concatenate([crops.mean(axis=2), crops.std(axis=2)]).T / 255,
        places=_places(boxes, width, height),
    )


def _inside(points: np.ndarray, size: int) -> np.ndarray:
    return np.clip(points.astype(np.int64), 0, size - 1)


def _color_names(crops: np.ndarray) -> np.ndarray:
    """RGB (3, N, P) of P points a region -> (N, P) index of the nearest named colour, -1 for grey."""
    low = np.minimum(np.minimum(crops[0], crops[1]), crops[2])
    chroma = np.maximum(np.maximum(crops[0], crops[1]), crops[2]) - low
    hues = ((crops - low) / np.maximum(chroma, 1)).reshape(3, -1)
    prototypes = np.array(list(COLORS.values()), dtype=np.float32)
    floor = prototypes.min(axis=1, keepdims=True)
    prototypes = (prototypes - floor) / (prototypes.max(axis=1, keepdims=True) - floor)
    likeness = prototypes @ hues - (prototypes**2).sum(axis=1, keepdims=True) / 2
    return np.where(chroma < CHROMA, -1, likeness.argmax(axis=0).reshape(low.shape))


def _totals(names: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, 6 + 1): sum of the points' weights (P,) by colour, grey last."""
    kinds = len(COLORS) + 1
    places = names % kinds + kinds * np.arange(len(names))[:, None]
    repeated = np.broadcast_to(weights, names.shape)
    return np.bincount(places.ravel(), repeated.ravel(), kinds * len(names)).reshape(-1, kinds)


def _main_color(names: np.ndarray) -> np.ndarray:
    """(N,) colour with the most weight, the middle of the crop counting more; -1 under 10 % of the weight."""
    steps = (np.arange(GRID) + 0.5) / GRID - 0.5
    weight = np.exp(-(steps[:, None] ** 2 + steps**2) / 0.12).ravel()
    sums = _totals(names, weight / weight.sum())[:, :-1]
    return np.where(sums.max(axis=1) < 0.10, -1, sums.argmax(axis=1))


def _normalised(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks (N, G, G) cut to their own box and sampled at FORM x FORM, and those boxes (N, 4) as fractions."""
    along_y, along_x = np.any(masks, axis=2), np.any(masks, axis=1)
    top, left = along_y.argmax(axis=1), along_x.argmax(axis=1)
    bottom = masks.shape[1] - along_y[:, ::-1].argmax(axis=1)
    right = masks.shape[2] - along_x[:, ::-1].argmax(axis=1)
    steps = (np.arange(FORM) + 0.5) / FORM
    rows = (top[:, None] + steps * (bottom - top)[:, None]).astype(np.int64)
    columns = (left[:, None] + steps * (right - left)[:, None]).astype(np.int64)
    forms = masks[np.arange(len(masks))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return forms, np.stack([left, top, right, bottom], axis=1) / masks.shape[1]


@cache
def _templates() -> np.ndarray:
    """(3, 5, FORM, FORM) bool: each shape in its own box, upright and turned a little to both sides."""
    steps = (np.arange(FORM) + 0.5) / FORM
    masks = []
    for angle in (-0.12, 0.0, 0.12):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        for shape in SHAPES:
            outline = UNIT_OUTLINES[shape] @ turn
            low, high = outline.min(axis=0), outline.max(axis=0)
            masks.append(_within(low + np.stack(np.meshgrid(steps, steps), axis=2) * (high - low), outline))
    return np.stack(masks).reshape(3, len(SHAPES), FORM, FORM)


def _within(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Which points (..., 2) lie inside the polygon (P, 2), by the even-odd rule."""
    inside = np.zeros(points.shape[:-1], dtype=bool)
    for (x1, y1), (x2, y2) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        crosses = (y1 > points[..., 1]) != (y2 > points[..., 1])
        edge = x1 + (points[..., 1] - y1) / (y2 - y1 if y2 != y1 else 1.0) * (x2 - x1)
        inside ^= crosses & (points[..., 0] < edge)
    return inside


def _likeness(forms: np.ndarray) -> np.ndarray:
    flat = forms.reshape(len(forms), -1).astype(np.float32)
    templates = _templates().reshape(-1, FORM * FORM).astype(np.float32)
    both = flat @ templates.T
    either = flat.sum(axis=1, keepdims=True) + templates.sum(axis=1) - both
    fit = (both / either).reshape(len(forms), -1, len(SHAPES)).max(axis=1)
    best = fit.max(axis=1, keepdims=True)
    scores = np.exp(SHARPNESS * (fit - best))
    return scores / scores.sum(axis=1, keepdims=True) * np.clip((best - 0.5) / 0.3, 0, 1)


def _places(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    corners = boxes / (width, height, width, height)
    size = corners[:, 2:] - corners[:, :2]
    middle = corners[:, :2] + size / 2
    area = np.sqrt(size.prod(axis=1, keepdims=True))
    halves = np.tanh(6 * (middle - 0.5))
    return np.concatenate([corners, size, middle, area, halves], axis=1).astype(np.float32)
