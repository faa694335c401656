"""ResNets cut for RoI features: what torchvision has, and a small one, with R2C's strides."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

from mmf_visualbert.errors import InputError

SMALL = "small"
IMAGENET = "imagenet"
STAGES = ("layer1", "layer2", "layer3", "layer4")


class SmallResNet(nn.Module):
    """A ResNet of four basic blocks, for experiments at small scale; torchvision's names for its parts.

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


def _basic_block(channels: int, wider: int, stride: int) -> nn.Module:
    shortcut = None
    if stride != 1 or channels != wider:
        convolution = nn.Conv2d(channels, wider, kernel_size=1, stride=stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(wider))
    return torchvision_resnet.BasicBlock(channels, wider, stride, shortcut)


def build_resnet(name: str = "resnet50", weights: str | None = None, width: int = 16) -> nn.Module:
    """A ResNet without its classifier, whose stages 2 and 3 halve in their first convolution, and stage 4 not at all.

    The strides are R2C's (utils/detector.py), after Caffe's ResNet: a map of 1/16 below the RoIs, RoIs at full size.

    Args:
        name: `resnet50` or any other ResNet of torchvision; `small` for `SmallResNet`.
        weights: `imagenet` for torchvision's (IMAGENET1K_V1, downloaded), a file of such weights, None for random ones.
        width: of `small`.

    Raises:
        InputError: for an unknown name, or weights that are missing or do not fit.
    """
    if name == SMALL:
        model = SmallResNet(width)
    else:
        model = _torchvision_resnet(name, weights == IMAGENET)
        del model.fc, model.avgpool
    if weights not in (None, IMAGENET):
        load_resnet(model, Path(weights))
    elif weights == IMAGENET and name == SMALL:
        raise InputError("there are no ImageNet weights for the backbone 'small'; set weights: null")
    for stage in ("layer2", "layer3"):
        _set_strides(getattr(model, stage)[0], first=2)
    _set_strides(model.layer4[0], first=1, shortcut=1)
    return model


def out_channels(stage: nn.Sequential) -> int:
    """Channels that a stage of a ResNet gives: those of its last BatchNorm."""
    return [module for module in stage[-1].modules() if isinstance(module, nn.BatchNorm2d)][-1].num_features


def load_resnet(model: nn.Module, path: Path) -> None:
    """Loads torchvision's weights from a file; the classifier in it is passed over.

    Raises:
        InputError: where the file is missing, no weights, or another ResNet's.
    """
    if not path.is_file():
        raise InputError(f"the backbone's weights {path} are missing; put the file there, or set weights: imagenet")
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises of many kinds, by what the file is
        raise InputError(f"{path} cannot be read as weights ({error}); give a state dict saved by torch") from error
    state = {name: value for name, value in state.items() if not name.startswith("fc.")}
    own = model.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in own]
    if missing or unknown:
        odd = f"lacks {missing[0]}" if missing else f"has {unknown[0]}, which the backbone lacks"
        raise InputError(f"{path} {odd}; give the weights of the backbone that the configuration names")
    wrong = [name for name in state if state[name].shape != own[name].shape]
    if wrong:
        shapes = f"{tuple(state[wrong[0]].shape)} instead of {tuple(own[wrong[0]].shape)}"
        raise InputError(
            f"{path} holds {wrong[0]} of shape {shapes}; give the weights of the backbone that is configured"
        )
    model.load_state_dict(state, strict=False)


def _torchvision_resnet(name: str, pretrained: bool) -> nn.Module:
    build = getattr(torchvision_resnet, name, None) if "resnet" in name or "resnext" in name else None
    if not callable(build):
        raise InputError(f"there is no backbone '{name}'; set it to 'small' or a ResNet of torchvision, as resnet50")
    if not pretrained:
        return build(weights=None)
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
