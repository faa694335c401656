"""Several images as one sequence of regions."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmf_visualbert.contracts import Sample


def join_images(*images: Mapping[str, Tensor]) -> Sample:
    """Region tensors of several images as one sequence: image after image, and all padding last.

    Args:
        images: tensors of each, (R, ...), padding at the end, among them `region_mask` (R,).

    Returns:
        The same tensors, (images · R, ...); `region_segments` is the number of the image: 0 for the left and 1 for the
        right one of NLVR2 (§4.3).
    """
    counts = [int(image["region_mask"].sum()) for image in images]
    joined = {}
    for name in images[0]:
        regions = [image[name][:count] for image, count in zip(images, counts, strict=True)]
        padding = [image[name][count:] for image, count in zip(images, counts, strict=True)]
        joined[name] = torch.cat(regions + padding)
    numbers = torch.arange(len(images)).repeat_interleave(torch.tensor(counts))
    joined["region_segments"] = torch.zeros(len(joined["region_mask"]), dtype=torch.int64)
    joined["region_segments"][: len(numbers)] = numbers
    return joined
