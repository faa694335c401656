"""Overlap of boxes. A box is (x1, y1, x2, y2) with x1 < x2 and y1 < y2, in one unit for all (pixels or fractions).

Areas are (x2 - x1) · (y2 - y1) without the "+ 1" of older detection code, as BAN and the authors' code count them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def box_areas(boxes: Tensor) -> Tensor:
    """Areas (N,) of boxes (N, 4); 0 where a box is inside out."""
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)


def pairwise_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union (N, M) of boxes (N, 4) with others (M, 4); 0 where both have no area."""
    top_left = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    union = box_areas(boxes)[:, None] + box_areas(others)[None, :] - intersection
    return torch.where(union > 0, intersection / union.clamp(min=torch.finfo(union.dtype).tiny), 0.0)


def overlaps_any(boxes: Tensor, others: Tensor, threshold: float = 0.5) -> Tensor:
    """Which boxes (N, 4) have an IoU of at least `threshold` with any of the others (M, 4): (N,) bool."""
    if len(others) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool)
    return (pairwise_iou(boxes, others) >= threshold).any(dim=1)


def overlaps_any_of_each(boxes: Tensor, groups: Sequence[Tensor], threshold: float = 0.5) -> Tensor:
    """`overlaps_any` of boxes (N, 4) with each of E groups of boxes (M_e, 4), in one pass: (E, N) bool."""
    matches = pairwise_iou(torch.cat(list(groups)), boxes) >= threshold
    return torch.stack([part.any(dim=0) for part in matches.split([len(group) for group in groups])])
