"""RoIAlign (He et al., 2017) as two small matrix products.

Bilinear interpolation on a grid is a product of a row and a column part, and so is the mean over a bin's grid. So the
features of a box are W_y F W_x^T, with W_y (bins, H) and W_x (bins, W) made from the box alone. It is differentiable,
deterministic (torchvision's gradient is not, on GPUs), needs no compiled operator, and is equal to
`torchvision.ops.roi_align`, its slow twin in the tests.

Shapes: B images, R boxes an image, C channels, H and W of the feature map, S bins a side.
"""

import torch
from torch import Tensor


def roi_align(features: Tensor, boxes: Tensor, spatial_scale: float, bins: int = 7, most: int | None = None) -> Tensor:
    """Features of boxes, S x S each, with torchvision's defaults `sampling_ratio=0` and `aligned=False`.

    Args:
        features: (B, C, H, W) float.
        boxes: (B, R, 4), x1, y1, x2, y2 in pixels of the image. All images have R boxes; what belongs to padding boxes
            is without meaning.
        spatial_scale: cells of the feature map per pixel of the image (1/16).
        bins: S.
        most: `most_points` of these boxes, where it is known; otherwise they are asked, and waited for.

    Returns:
        (B, R, C, S, S), in the type of `features`.
    """
    height, width = features.shape[-2:]
    scaled = boxes.float() * spatial_scale
    most = most_points(boxes, spatial_scale, bins) if most is None else most
    rows = interpolation(scaled[..., 1], scaled[..., 3], height, bins, most).to(features.dtype)  # (B, R, S, H)
    columns = interpolation(scaled[..., 0], scaled[..., 2], width, bins, most).to(features.dtype)  # (B, R, S, W)
    across = torch.einsum("bchw,brqw->brchq", features, columns)
    return torch.einsum("brph,brchq->brcpq", rows, across)


def most_points(boxes: Tensor, spatial_scale: float, bins: int) -> int:
    """The most points that a bin of any of the boxes (..., 4) has on an axis."""
    scaled = boxes.float() * spatial_scale
    lengths = scaled[..., 2:] - scaled[..., :2]
    return max(int(torch.ceil(lengths / bins).max()), 1) if lengths.numel() else 1


@torch.no_grad()
def interpolation(start: Tensor, end: Tensor, size: int, bins: int, most: int | None = None) -> Tensor:
    """Weight of every cell of one axis in every bin: the mean over the bin's points of their bilinear weights.

    Args:
        start, end: (..., ) where boxes begin and end on the axis, in cells.
        size: number of cells.
        bins: S.
        most: points of a bin at most, where it is known; those that a bin does not have count for nothing.

    Returns:
        (..., S, size) float32. A bin has ceil(length / S) evenly spaced points. A point between two cells weighs them
        by nearness, one past the first or last cell's centre counts for that cell, one more than a cell outside for
        nothing. Boxes shorter than a cell are taken to be one cell long.
    """
    length = (end - start).clamp(min=1.0)
    points = torch.ceil(length / bins)  # (...), points in each bin
    if most is None:
        most = max(int(points.max()), 1) if points.numel() else 1
    bin_index = torch.arange(bins, device=start.device).view(bins, 1)
    point_index = torch.arange(most, device=start.device)
    length, begin, count = (value[..., None, None] for value in (length, start, points))
    position = begin + (bin_index + (point_index + 0.5) / count) * (length / bins)  # (..., S, points)
    counts = (point_index < count) & (position >= -1) & (position <= size)
    cells = torch.arange(size, device=start.device)
    nearness = (1 - (position.clamp(0, size - 1)[..., None] - cells).abs()).clamp(min=0)  # (..., S, points, size)
    return (nearness * counts[..., None]).sum(dim=-2) / count
