"""From an image, boxes and segmentation masks to one vector a box: ResNet with RoIAlign (§4.2, footnote 3; R2C).

Shapes: B images, R regions an image, N real regions of the batch in row-major order, P channels after the last stage.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.on_host import places
from mmf_visualbert.tasks.vcr.roi_align import most_points, roi_align
from mmf_visualbert.tasks.vcr.roi_resnet import ResNet, out_channels

BINS = 7
STRIDE = 16
FROZEN = ("none", "below_rois", "resnet", "all")
BATCH_NORMS = ("batch", "running")
# Below it, oneDNN's gradient of a strided 1x1 convolution over channels_last writes beyond its memory and the process
# dies (torch 2.13, CPUs without AVX-512).
CHANNELS_LAST_FROM = 8


class RoiBackbone(nn.Module):
    """Stages 1 to 3 over the image, RoIAlign, the regions' masks, stage 4 over the regions, mean over their 7 x 7 bins.

    A convolution of the mask (minus 1/2) is added to the first channels of a region's map. It begins at zero, so that
    a ResNet's own weights see what they were trained on, and features of a fixed ResNet depend on its weights alone.
    (The released code begins with random numbers there.)

    Args:
        resnet: as `build_resnet` gives it.
        frozen: what is fixed. `none`; `below_rois`, all up to stage 3 (the released code's way); `resnet`, the whole
            ResNet but not the mask's convolution (footnote 3); `all`, everything here, as precomputed features need it.
            Fixed parts have no gradient, and their BatchNorms neither use nor take in a batch's statistics.
        batch_norm: for parts that are trained. `batch`: statistics of the batch in training and running ones in
            evaluation, as R2C. `running`: those the weights came with, always; better for batches of few images.
        mask_channels: how many channels the mask is added to.

    Raises:
        InputError: for another value of `frozen` or `batch_norm`.
    """

    def __init__(
        self, resnet: ResNet, frozen: str = "none", batch_norm: str = "batch", mask_channels: int = 32
    ) -> None:
        super().__init__()
        if frozen not in FROZEN:
            raise InputError(f"frozen is '{frozen}'; set it to one of {', '.join(FROZEN)}")
        if batch_norm not in BATCH_NORMS:
            raise InputError(f"batch_norm is '{batch_norm}'; set it to one of {', '.join(BATCH_NORMS)}")
        narrow = resnet.conv1.out_channels < CHANNELS_LAST_FROM
        self.memory_format = torch.contiguous_format if narrow else torch.channels_last
        self.resnet = convert_conv2d_weight_memory_format(resnet, self.memory_format)
        self.frozen = frozen
        self.batch_norm = batch_norm
        self.mask_channels = min(mask_channels, out_channels(resnet.layer3))
        self.mask_convolution = nn.Conv2d(1, self.mask_channels, kernel_size=3, stride=2, padding=1)
        for parameter in self.mask_convolution.parameters():
            nn.init.zeros_(parameter)
        for part in self.frozen_parts():
            part.requires_grad_(False)
        self.train(self.training)

    @property
    def dimension(self) -> int:
        """P."""
        return out_channels(self.resnet.layer4)

    def frozen_parts(self) -> list[nn.Module]:
        """The parts that are fixed."""
        resnet = self.resnet
        below: list[nn.Module] = [resnet.conv1, resnet.bn1, resnet.layer1, resnet.layer2, resnet.layer3]
        parts: dict[str, list[nn.Module]] = {"none": [], "below_rois": below, "resnet": [resnet], "all": [self]}
        return parts[self.frozen]

    def train(self, mode: bool = True) -> "RoiBackbone":
        """As `nn.Module.train`, but fixed parts, and BatchNorms that keep their statistics, stay in evaluation."""
        super().train(mode)
        for part in self.frozen_parts():
            for module in part.modules():
                module.training = False
        if self.batch_norm == "running":
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.training = False
        return self

    def forward(
        self, image: Tensor, boxes: Tensor, segmentation: Tensor, mask: Tensor, known_boxes: Tensor | None = None
    ) -> Tensor:
        """Vectors of all regions of a batch; each image goes through the ResNet once, all boxes through one RoIAlign.

        Args:
            image: (B, 3, H, W) float, normalised.
            boxes: (B, R, 4) float, x1, y1, x2, y2 in pixels of the image.
            segmentation: (B, R, 14, 14) float, 1 inside the region.
            mask: (B, R) bool, True where there is a region; the device is not waited for where it is in the CPU's
                memory. Padding is at the end.
            known_boxes: `boxes` in the CPU's memory, likewise; None where they are not at hand.

        Returns:
            (N, P).
        """
        mask = mask.cpu()
        used = int(mask.sum(dim=1).max())
        boxes, segmentation = boxes[:, :used], segmentation[:, :used]
        at = places(mask[:, :used], image.device)
        most = most_points(boxes if known_boxes is None else known_boxes[:, :used], 1 / STRIDE, BINS)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen != "all"):
            maps = self.image_maps(image)
            regions = roi_align(maps, boxes, 1 / STRIDE, BINS, most)[at]  # (N, C, 7, 7)
            shape = self.mask_convolution(segmentation[at].unsqueeze(1) - 0.5)
            regions[:, : self.mask_channels] += shape.to(regions.dtype)
            regions = regions.contiguous(memory_format=self.memory_format)
            return self.resnet.layer4(regions).mean(dim=(2, 3))

    def image_maps(self, image: Tensor) -> Tensor:
        """Maps of the whole image after stage 3: (B, 3, H, W) -> (B, C, H / 16, W / 16)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen == "none"):
            image = image.contiguous(memory_format=self.memory_format)
            maps = self.resnet.maxpool(self.resnet.relu(self.resnet.bn1(self.resnet.conv1(image))))
            return self.resnet.layer3(self.resnet.layer2(self.resnet.layer1(maps)))
