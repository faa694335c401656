"""torchvision's operators on boxes in plain torch: slower than compiled ones, on every device, with gradients.

Shapes: K boxes, (K, 5) with the number of their image first; features (B, C, H, W); P x Q bins a box.
"""

import torch
from torch import Tensor
from torch.nn import functional

_AT_ONCE = 1 << 25  # sampled values that are held at a time, to bound memory


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The boxes (N, 4) that no kept box with a higher score (N,) overlaps by more than the threshold: (M,) int64, the
    highest score first; of equal scores the first box first."""
    order = scores.sort(descending=True, stable=True).indices
    corners = boxes[order].float()
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    left, kept = torch.arange(len(order), device=boxes.device), []
    while left.numel():
        best, left = left[0], left[1:]
        kept.append(best)
        sides = torch.minimum(corners[best, 2:], corners[left, 2:]) - torch.maximum(
            corners[best, :2], corners[left, :2]
        )
        shared = sides.clamp(min=0).prod(dim=1)
        left = left[~(shared / (areas[best] + areas[left] - shared) > iou_threshold)]  # two points overlap by no number
    return order[torch.stack(kept)] if kept else order


def roi_align(
    features: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Means of bilinear samples in the bins of boxes (He et al., 2017): (K, C, P, Q) in the type of `features`."""
    shift = 0.5 if aligned else 0.0
    scaled = rois[:, 1:].float() * spatial_scale - shift
    sizes = scaled[:, 2:] - scaled[:, :2]
    sizes = sizes if aligned else sizes.clamp(min=1.0)
    bins = torch.tensor([pooled_width, pooled_height], device=rois.device)
    points = torch.ceil(sizes / bins).clamp(min=0).long() if sampling_ratio <= 0 else None
    groups = torch.cat(
        [rois[:, :1].long(), torch.full_like(sizes, sampling_ratio).long() if points is None else points], 1
    )
    parts, places = [], []
    for image, across, down in torch.unique(groups, dim=0).tolist():
        chosen = (groups == torch.tensor([image, across, down], device=rois.device)).all(1).nonzero()[:, 0]
        step = max(1, _AT_ONCE // max(1, features.size(1) * across * down * pooled_width * pooled_height))
        for part in chosen.split(step):
            grid = (pooled_height, max(down, 1)), (pooled_width, max(across, 1))
            parts.append(_sampled(features[image], scaled[part], sizes[part], *grid) * bool(across and down))
            places.append(part)
    if not parts:
        return features.new_zeros(0, features.size(1), pooled_height, pooled_width)
    return torch.cat(parts)[torch.cat(places).argsort()].to(features.dtype)


def _sampled(features: Tensor, boxes: Tensor, sizes: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Means of the samples of boxes of one image with as many points a bin: (k, C, P, Q).

    Args:
        features: (C, H, W).
        boxes, sizes: (k, 4), (k, 2) in cells.
        rows, columns: bins, and points in each.
    """
    channels, height, width = features.shape
    down, seen_down = _points(boxes[:, 1], sizes[:, 1], rows, height)
    across, seen_across = _points(boxes[:, 0], sizes[:, 0], columns, width)
    grid = torch.stack(torch.broadcast_tensors(across[:, None, :], down[:, :, None]), dim=-1)  # (k, P·p, Q·q, 2)
    flat = grid.reshape(1, -1, grid.size(2), 2)
    sampled = functional.grid_sample(features[None].float(), flat, padding_mode="border", align_corners=True)
    sampled = sampled.view(channels, len(boxes), *grid.shape[1:3]) * (seen_down[:, :, None] & seen_across[:, None, :])
    return sampled.view(channels, len(boxes), *rows, *columns).mean(dim=(3, 5)).transpose(0, 1)


def _points(start: Tensor, size: Tensor, bins: tuple[int, int], cells: int) -> tuple[Tensor, Tensor]:
    """(k, bins · points) where the points of one axis are, from -1 to 1, and whether they are near the map."""
    steps = (torch.arange(bins[0] * bins[1], device=start.device) + 0.5) / bins[1]
    place = start[:, None] + steps * (size / bins[0])[:, None]
    seen = (place >= -1) & (place <= cells)
    return place.clamp(0, cells - 1) * (2 / max(cells - 1, 1)) - 1, seen


def roi_pool(
    features: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int, pooled_width: int
) -> tuple[Tensor, Tensor]:
    """Maxima in the bins of boxes (Girshick, 2015): (K, C, P, Q), 0 in a bin without a cell.

    The second tensor, where the maxima were, is of the operator's form; it is -1, as the gradient does without it.
    """
    pooled = []
    for roi in rois:
        left, top, right, bottom = torch.floor(roi[1:].float() * spatial_scale + 0.5).int().tolist()
        cells = features[int(roi[0])]
        rows = _ranges(top, bottom, pooled_height, cells.size(1))
        columns = _ranges(left, right, pooled_width, cells.size(2))
        tall = torch.stack([_most(cells[:, a:b], 1) for a, b in rows], dim=1)  # (C, P, W)
        pooled.append(torch.stack([_most(tall[:, :, a:b], 2) for a, b in columns], dim=2))
    values = torch.stack(pooled) if pooled else features.new_zeros(0, features.size(1), pooled_height, pooled_width)
    return values, torch.full_like(values, -1, dtype=torch.int32)


def _ranges(start: int, end: int, bins: int, cells: int) -> list[tuple[int, int]]:
    """The cells of each bin of one axis, from and to."""
    size = max(end - start + 1, 1) / bins
    edges = [(int(number * size), -int(-(number + 1) * size // 1)) for number in range(bins)]
    return [(min(max(a + start, 0), cells), min(max(b + start, 0), cells)) for a, b in edges]


def _most(cells: Tensor, axis: int) -> Tensor:
    """The maximum along an axis, 0 where there is no cell."""
    if cells.size(axis):
        return cells.amax(dim=axis)
    return cells.new_zeros([size for place, size in enumerate(cells.shape) if place != axis])
