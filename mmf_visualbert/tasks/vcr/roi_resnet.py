"""ResNets cut for RoI features: what torchvision has, and a small one, with R2C's strides."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn
from torchvision.models import resnet as torchvision_resnet

from mmf_visualbert.errors import InputError

SMALL = "small"


class ResNet(nn.Module):
    """The parts of a ResNet without its classifier, under torchvision's names.

    Args:
        conv1, bn1: of the stem.
        stages: `layer1` to `layer4`.
    """

    def __init__(self, conv1: nn.Conv2d, bn1: nn.BatchNorm2d, stages: Sequence[nn.Sequential]) -> None:
        super().__init__()
        self.conv1 = conv1
        self.bn1 = bn1
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages


def small_resnet(width: int = 16) -> ResNet:
    """A ResNet of four basic blocks, for experiments at small scale.

    Blocks begin as their shortcuts (torchvision's zero_init_residual). Random blocks would mix away what tells one
    region from another, and training from random weights would not leave the ground.

    Args:
        width: channels of the first stage; each further stage doubles them.
    """
    conv1, bn1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False), nn.BatchNorm2d(width)
    widths = [width, width, 2 * width, 4 * width, 8 * width]
    stages = [
        nn.Sequential(_basic_block(*pair, stride)) for pair, stride in zip(pairwise(widths), (1, 2, 2, 2), strict=True)
    ]
    model = ResNet(conv1, bn1, stages)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, torchvision_resnet.BasicBlock):
            nn.init.zeros_(module.bn2.weight)
    return model


def _basic_block(channels: int, wider: int, stride: int) -> nn.Module:
    shortcut = None
    if stride != 1 or channels != wider:
        convolution = nn.Conv2d(channels, wider, kernel_size=1, stride=stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(wider))
    return torchvision_resnet.BasicBlock(channels, wider, stride, shortcut)


def build_resnet(name: str = "resnet50", imagenet: bool = False, width: int = 16) -> ResNet:
    """A ResNet without its classifier, whose stages 2 and 3 halve in their first convolution, and stage 4 not at all.

    The strides are R2C's (utils/detector.py), after Caffe's ResNet: a map of 1/16 below the RoIs, RoIs at full size.

    Args:
        name: `resnet50` or any other ResNet of torchvision; `small` for `small_resnet`.
        imagenet: with torchvision's weights (IMAGENET1K_V1, downloaded); random ones otherwise.
        width: of `small`.

    Raises:
        InputError: for an unknown name, or weights that cannot be had.
    """
    if name == SMALL:
        if imagenet:
            raise InputError("there are no ImageNet weights for the backbone 'small'; set weights: null")
        model = small_resnet(width)
    else:
        model = _torchvision_resnet(name, imagenet)
    _set_strides(model.layer2, first=2, shortcut=2)
    _set_strides(model.layer3, first=2, shortcut=2)
    _set_strides(model.layer4, first=1, shortcut=1)
    return model


def out_channels(stage: nn.Sequential) -> int:
    """Channels that a stage of a ResNet gives: those of its last BatchNorm."""
    return [module for module in stage[-1].modules() if isinstance(module, nn.BatchNorm2d)][-1].num_features


def _torchvision_resnet(name: str, pretrained: bool) -> ResNet:
    if name not in torchvision_resnet.__all__ or not name.islower():
        raise InputError(f"there is no backbone '{name}'; set it to 'small' or a ResNet of torchvision, as resnet50")
    build = vars(torchvision_resnet)[name]
    try:
        model = build(weights="IMAGENET1K_V1") if pretrained else build(weights=None, zero_init_residual=True)
    except OSError as error:
        raise InputError(
            f"torchvision cannot download the weights of {name} ({error}); download them elsewhere and set weights to "
            "the file"
        ) from error
    return ResNet(model.conv1, model.bn1, (model.layer1, model.layer2, model.layer3, model.layer4))


def _set_strides(stage: nn.Sequential, first: int, shortcut: int) -> None:
    """The strides of a stage's first block: `first` at its first convolution, 1 at the others, and its shortcut's."""
    convolutions = [part for part in stage[0].children() if isinstance(part, nn.Conv2d)]
    for index, part in enumerate(convolutions):
        part.stride = (first, first) if index == 0 else (1, 1)
    for other in stage[0].get_submodule("downsample").children():
        if isinstance(other, nn.Conv2d):
            other.stride = (shortcut, shortcut)
