"""nms, roi_align and roi_pool in plain torch are torchvision's: by hand, by slow twins, and by the compiled ones."""

import math

import pytest
import torch
import torchvision

import mmf_visualbert  # noqa: F401  (the installed packages are repaired)
from mmf_visualbert.compat import box_kernels
from mmf_visualbert.tasks.vcr.roi_align import roi_align as by_products

COMPILED = torchvision.extension._has_ops()


def boxes_of(count, size=60.0, seed=0):
    torch.manual_seed(seed)
    corners = torch.rand(count, 2) * size
    return torch.cat([corners, corners + torch.rand(count, 2) * size], dim=1)


def rois_of(count, images):
    return torch.cat([torch.arange(count).remainder(images)[:, None].float(), boxes_of(count)], dim=1)


def nms_by_loop(boxes, scores, threshold):
    kept = []
    for one in scores.argsort(descending=True, stable=True).tolist():
        overlaps = [torchvision.ops.box_iou(boxes[[one]], boxes[[other]]).item() for other in kept]
        if not any(overlap > threshold for overlap in overlaps):
            kept.append(one)
    return kept


def roi_pool_by_loop(features, roi, scale, bins):
    left, top, right, bottom = (math.floor(float(side) * scale + 0.5) for side in roi[1:])
    height, width = max(bottom - top + 1, 1) / bins, max(right - left + 1, 1) / bins
    out = torch.zeros(features.size(1), bins, bins)
    for p in range(bins):
        for q in range(bins):
            first, last = (
                max(top + math.floor(p * height), 0),
                min(top + math.ceil((p + 1) * height), features.size(2)),
            )
            start, end = (
                max(left + math.floor(q * width), 0),
                min(left + math.ceil((q + 1) * width), features.size(3)),
            )
            if first < last and start < end:
                out[:, p, q] = features[int(roi[0]), :, first:last, start:end].amax((1, 2))
    return out


def test_suppression_is_that_of_a_loop():
    boxes, scores = boxes_of(40), torch.rand(40)
    scores[3] = scores[9]
    for threshold in (0.2, 0.5, 0.9):
        assert box_kernels.nms(boxes, scores, threshold).tolist() == nms_by_loop(boxes, scores, threshold)
        assert torchvision.ops.nms(boxes, scores, threshold).tolist() == nms_by_loop(boxes, scores, threshold)
    assert box_kernels.nms(boxes[:0], scores[:0], 0.5).tolist() == []


def test_aligned_regions_are_those_of_matrix_products():
    features, rois = torch.randn(2, 3, 7, 9, requires_grad=True), rois_of(12, 2)
    ours = torchvision.ops.roi_align(features, rois, (7, 7), 1 / 8, 0)
    for number, roi in enumerate(rois):
        expected = by_products(features[[int(roi[0])]], roi[None, None, 1:], 1 / 8)[0, 0]
        torch.testing.assert_close(ours[number], expected, atol=1e-5, rtol=1e-5)
    (gradient,) = torch.autograd.grad(ours.sum(), features)
    assert gradient.abs().sum() > 0
    empty = box_kernels.roi_align(features, rois[:0], 0.125, 7, 7, 2, False)
    assert empty.shape == (0, 3, 7, 7)


def test_pooled_regions_are_those_of_a_loop():
    features, rois = torch.randn(2, 3, 7, 9), rois_of(10, 2)
    ours = torchvision.ops.roi_pool(features, rois, (3, 3), 1 / 8)
    for number, roi in enumerate(rois):
        assert torch.equal(ours[number], roi_pool_by_loop(features, roi, 1 / 8, 3))


@pytest.mark.skipif(not COMPILED, reason="torchvision's compiled operators do not load beside this torch")
@pytest.mark.parametrize(("ratio", "aligned"), [(0, False), (2, False), (2, True), (-1, True)])
def test_compiled_operators_give_the_same(ratio, aligned):
    features, rois = torch.randn(2, 3, 12, 9), rois_of(12, 2)
    scores = torch.rand(12)
    compiled = torch.ops.torchvision
    assert torch.equal(compiled.nms(rois[:, 1:], scores, 0.4), box_kernels.nms(rois[:, 1:], scores, 0.4))
    ours = box_kernels.roi_align(features, rois, 0.125, 5, 7, ratio, aligned)
    torch.testing.assert_close(ours, compiled.roi_align(features, rois, 0.125, 5, 7, ratio, aligned))
    assert torch.equal(
        compiled.roi_pool(features, rois, 0.125, 3, 3)[0], box_kernels.roi_pool(features, rois, 0.125, 3, 3)[0]
    )
