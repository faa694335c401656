"""Two images of one text as one sequence of regions (§4.3)."""

from collections.abc import Mapping

import torch
from torch import Tensor


def join_images(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Region tensors of two images as one sequence, left image first and all padding last.

    Args:
        left, right: tensors of the images, (R, ...) each, padding at the end, among them `region_mask` (R,).

    Returns:
        The same tensors, (2R, ...); `region_segments` is 0 for the left and 1 for the right image (§4.3).
    """
    count_left, count_right = int(left["region_mask"].sum()), int(right["region_mask"].sum())
    joined = {
        name: torch.cat([left[name][:count_left], right[name], left[name][count_left:]])
        for name in left
        if name != "region_segments"
    }
    joined["region_segments"] = torch.zeros(len(joined["region_mask"]), dtype=torch.int64)
    joined["region_segments"][count_left : count_left + count_right] = 1
    return joined
