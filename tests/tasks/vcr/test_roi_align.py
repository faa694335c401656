"""RoIAlign against torchvision's own, and on numbers worked out by hand."""

import inspect

import pytest
import torch

from mmf_visualbert.tasks.vcr.roi_align import interpolation, roi_align


def torchvision_roi_align(features, boxes, spatial_scale, bins):
    """torchvision's operator; its pure-torch twin where the operator is not built for this torch."""
    from torchvision.extension import _has_ops
    from torchvision.ops import roi_align as operator
    from torchvision.ops.roi_align import _roi_align

    image = torch.arange(len(boxes)).repeat_interleave(boxes.shape[1])
    rois = torch.cat((image[:, None].to(boxes.dtype), boxes.flatten(0, 1)), dim=1)
    if _has_ops():
        pooled = operator(features, rois, (bins, bins), spatial_scale, sampling_ratio=0, aligned=False)
    else:
        pooled = inspect.unwrap(_roi_align)(features, rois, spatial_scale, bins, bins, 0, False)
    return pooled.unflatten(0, boxes.shape[:2])


def some_boxes(images: int, count: int, width: int, height: int) -> torch.Tensor:
    """Boxes of all sizes, down to less than a cell and up to the whole image.

    None is thinner than a cell at the far edge: its points lie outside, where torchvision's operator gives zeros and
    its pure-torch twin does not.
    """
    size = torch.tensor([width, height, width, height], dtype=torch.float32)
    corners = torch.rand(images, count, 2, 2).sort(dim=2).values.flatten(2) * size
    corners[..., :2] = torch.minimum(corners[..., :2], size[2:] - 16)
    corners[..., 2:] = torch.maximum(corners[..., 2:], corners[..., :2] + 16)
    corners[:, 0] = torch.tensor([0.0, 0.0, width, height])
    corners[:, 1] = torch.tensor([5.0, 5.0, 7.0, 6.0])
    return corners


@pytest.mark.parametrize(("height", "width"), [(6, 12), (9, 5), (24, 48)])
def test_equals_torchvision(height, width):
    features = torch.randn(2, 3, height, width, dtype=torch.float64)
    boxes = some_boxes(2, 7, width * 16, height * 16).double()
    ours = roi_align(features, boxes, 1 / 16, bins=7)
    theirs = torchvision_roi_align(features, boxes, 1 / 16, 7)
    assert ours.shape == (2, 7, 3, 7, 7)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_gradient_equals_torchvision():
    features = torch.randn(1, 2, 6, 12, dtype=torch.float64, requires_grad=True)
    boxes = some_boxes(1, 5, 192, 96).double()
    weights = torch.randn(1, 5, 2, 7, 7, dtype=torch.float64)
    (ours,) = torch.autograd.grad((roi_align(features, boxes, 1 / 16) * weights).sum(), features)
    (theirs,) = torch.autograd.grad((torchvision_roi_align(features, boxes, 1 / 16, 7) * weights).sum(), features)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_weights_worked_out_by_hand():
    # Two cells in 2 bins: one point a bin, at 0.5 and 1.5 cells from the start.
    on_cells = interpolation(torch.tensor(0.5), torch.tensor(2.5), 4, 2)
    assert on_cells.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    between = interpolation(torch.tensor(0.75), torch.tensor(2.75), 4, 2)
    assert between.tolist() == [[0, 0.75, 0.25, 0], [0, 0, 0.75, 0.25]]
    # Four cells in 2 bins: two points a bin, 0.5 and 1.5, 2.5 and 3.5; the last lies past the last cell's centre.
    several = interpolation(torch.tensor(0.0), torch.tensor(4.0), 4, 2)
    assert several.tolist() == [[0.25, 0.5, 0.25, 0], [0, 0, 0.25, 0.75]]


def test_points_far_outside_count_for_nothing():
    outside = interpolation(torch.tensor(-6.0), torch.tensor(-2.0), 4, 2)
    assert outside.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]


def test_thin_box_at_the_far_edge():
    # From 3.9 to 4.0, taken to be one cell long: points at 4.15 (none, for it is past the end) and so on.
    assert interpolation(torch.tensor(3.9), torch.tensor(4.0), 4, 2).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]
    # From 3.4: the first point, 3.65, counts for the last cell; the second, 4.15, for nothing.
    assert interpolation(torch.tensor(3.4), torch.tensor(3.5), 4, 2).tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


def test_padding_boxes_disturb_nobody():
    features = torch.randn(1, 2, 6, 12)
    boxes = some_boxes(1, 3, 192, 96)
    padded = torch.cat((boxes, torch.zeros(1, 4, 4)), dim=1)
    assert torch.equal(roi_align(features, boxes, 1 / 16), roi_align(features, padded, 1 / 16)[:, :3])
