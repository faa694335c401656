"""Weights of the RoI backbone from a file: torchvision's ResNets, or a model of ours."""

from pathlib import Path

from torch import Tensor

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_torch
from mmf_visualbert.tasks.vcr.roi_backbone import RoiBackbone

OURS = "region_encoder.backbone."


def load_backbone(backbone: RoiBackbone, path: str | Path) -> None:
    """Loads a file of torchvision's ResNet weights, or the backbone in a whole model's state dict (`*_final.pth`).

    torchvision's files lack the mask's convolution, which stays as it is; their classifier is passed over.

    Raises:
        InputError: where the file is missing, no weights, or another backbone's.
    """
    path = Path(path)
    state = read_state(path)
    ours = {name[len(OURS) :]: value for name, value in state.items() if name.startswith(OURS)}
    target = backbone if ours else backbone.resnet
    state = ours or {name: value for name, value in state.items() if not name.startswith("fc.")}
    own = target.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in own]
    if missing or unknown:
        odd = f"lacks {missing[0]}" if missing else f"has {unknown[0]}, which the backbone lacks"
        raise InputError(f"{path} {odd}; give the weights of the backbone that the configuration names")
    for name, value in state.items():
        if value.shape != own[name].shape:
            raise InputError(
                f"{path} holds {name} of shape {tuple(value.shape)} instead of {tuple(own[name].shape)}; give the "
                "weights of the backbone that the configuration names"
            )
    target.load_state_dict(state, strict=False)


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name, from a state dict or from the entry `model` of a dictionary.

    Raises:
        InputError: where the file is missing, or cannot be read without running code that it names.
    """
    if not path.is_file():
        raise InputError(f"the backbone's weights {path} are missing; put the file there, or set weights: imagenet")
    state = read_torch(path, refusal="cannot be read as weights")
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} holds no state dict; give weights saved by torch, as the *_final.pth of a run")
    return state
