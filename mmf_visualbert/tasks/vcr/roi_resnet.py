"""ResNets cut for RoI features: what torchvision has, and a small one, with R2C's strides."""

from torch import nn
from torchvision.models import resnet as torchvision_resnet

from mmf_visualbert.errors import InputError

SMALL = "small"
STAGES = ("layer1", "layer2", "layer3", "layer4")


class SmallResNet(nn.Module):
    """A ResNet of four basic blocks, for experiments at small scale; torchvision's names for its parts.

    Blocks begin as their shortcuts (torchvision's zero_init_residual). Random blocks would mix away what tells one
    region from another, and training from random weights would not leave the ground.

    Args:
        width: channels of the first stage; each further stage doubles them.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = width
        for number, stage in enumerate(STAGES):
            wider, stride = width * 2**number, 1 if number == 0 else 2
            setattr(self, stage, nn.Sequential(_basic_block(channels, wider, stride)))
            channels = wider
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, torchvision_resnet.BasicBlock):
                nn.init.zeros_(module.bn2.weight)


def _basic_block(channels: int, wider: int, stride: int) -> nn.Module:
    shortcut = None
    if stride != 1 or channels != wider:
        convolution = nn.Conv2d(channels, wider, kernel_size=1, stride=stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(wider))
    return torchvision_resnet.BasicBlock(channels, wider, stride, shortcut)


def build_resnet(name: str = "resnet50", imagenet: bool = False, width: int = 16) -> nn.Module:
    """A ResNet without its classifier, whose stages 2 and 3 halve in their first convolution, and stage 4 not at all.

    The strides are R2C's (utils/detector.py), after Caffe's ResNet: a map of 1/16 below the RoIs, RoIs at full size.

    Args:
        name: `resnet50` or any other ResNet of torchvision; `small` for `SmallResNet`.
        imagenet: with torchvision's weights (IMAGENET1K_V1, downloaded); random ones otherwise.
        width: of `small`.

    Raises:
        InputError: for an unknown name, or weights that cannot be had.
    """
    if name == SMALL:
        if imagenet:
            raise InputError("there are no ImageNet weights for the backbone 'small'; set weights: null")
        model = SmallResNet(width)
    else:
        model = _torchvision_resnet(name, imagenet)
        del model.fc, model.avgpool
    for stage in ("layer2", "layer3"):
        _set_strides(getattr(model, stage)[0], first=2)
    _set_strides(model.layer4[0], first=1, shortcut=1)
    return model


def out_channels(stage: nn.Sequential) -> int:
    """Channels that a stage of a ResNet gives: those of its last BatchNorm."""
    return [module for module in stage[-1].modules() if isinstance(module, nn.BatchNorm2d)][-1].num_features


def _torchvision_resnet(name: str, pretrained: bool) -> nn.Module:
    if name not in torchvision_resnet.__all__ or not name.islower():
        raise InputError(f"there is no backbone '{name}'; set it to 'small' or a ResNet of torchvision, as resnet50")
    build = vars(torchvision_resnet)[name]
    if not pretrained:
        return build(weights=None, zero_init_residual=True)
    try:
        return build(weights="IMAGENET1K_V1")
    except OSError as error:
        raise InputError(
            f"torchvision cannot download the weights of {name} ({error}); download them elsewhere and set weights to "
            "the file"
        ) from error


def _set_strides(block: nn.Module, first: int, shortcut: int = 2) -> None:
    """The stride of a stage's first block: `first` at its first convolution, 1 at the others."""
    convolutions = [part for part in block.children() if isinstance(part, nn.Conv2d)]
    for index, part in enumerate(convolutions):
        part.stride = (first, first) if index == 0 else (1, 1)
    block.downsample[0].stride = (shortcut, shortcut)
