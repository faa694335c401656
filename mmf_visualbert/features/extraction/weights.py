"""Weights of detectors: files read without running anything in them, and maskrcnn-benchmark's names in detectron2's."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_pickle, read_torch, unwrapped

# maskrcnn-benchmark's frozen batch norm divides by the root of the variance, detectron2's adds this to it first
_EPSILON = 1e-5
# Each pattern of a maskrcnn-benchmark name and what it is called in detectron2. None: not a weight that is needed.
_RULES: list[tuple[str, str | None]] = [
    (r"backbone\.body\.stem\.conv1\.(\w+)", r"backbone.bottom_up.stem.conv1.\1"),
    (r"backbone\.body\.stem\.bn1\.(\w+)", r"backbone.bottom_up.stem.conv1.norm.\1"),
    (r"backbone\.body\.layer(\d)\.(\d+)\.conv(\d)\.(\w+)", r"backbone.bottom_up.res{\1}.\2.conv\3.\4"),
    (r"backbone\.body\.layer(\d)\.(\d+)\.bn(\d)\.(\w+)", r"backbone.bottom_up.res{\1}.\2.conv\3.norm.\4"),
    (r"backbone\.body\.layer(\d)\.(\d+)\.downsample\.0\.(\w+)", r"backbone.bottom_up.res{\1}.\2.shortcut.\3"),
    (r"backbone\.body\.layer(\d)\.(\d+)\.downsample\.1\.(\w+)", r"backbone.bottom_up.res{\1}.\2.shortcut.norm.\3"),
    (r"backbone\.fpn\.fpn_inner(\d)\.(\w+)", r"backbone.fpn_lateral{\1}.\2"),
    (r"backbone\.fpn\.fpn_layer(\d)\.(\w+)", r"backbone.fpn_output{\1}.\2"),
    (r"rpn\.anchor_generator\.cell_anchors\.(\d)", r"proposal_generator.anchor_generator.cell_anchors.\1"),
    (r"rpn\.head\.conv\.(\w+)", r"proposal_generator.rpn_head.conv.\1"),
    (r"rpn\.head\.cls_logits\.(\w+)", r"proposal_generator.rpn_head.objectness_logits.\1"),
    (r"rpn\.head\.bbox_pred\.(\w+)", r"proposal_generator.rpn_head.anchor_deltas.\1"),
    (r"roi_heads\.box\.feature_extractor\.fc6\.(\w+)", r"roi_heads.box_head.fc1.\1"),
    (r"roi_heads\.box\.feature_extractor\.fc7\.(\w+)", r"roi_heads.box_head.fc2.\1"),
    (r"roi_heads\.box\.predictor\.cls_score\.(\w+)", r"roi_heads.box_predictor.cls_score.\1"),
    (r"roi_heads\.box\.predictor\.bbox_pred\.(\w+)", r"roi_heads.box_predictor.bbox_pred.\1"),
    (r"roi_heads\.box\.predictor\.cls_embed(?:ding)?\.(\w+)", r"attributes.class_embedding.\1"),
    (r"roi_heads\.box\.predictor\.attr_linear1\.(\w+)", r"attributes.hidden.\1"),
    (r"roi_heads\.box\.predictor\.attr_linear2\.(\w+)", r"attributes.output.\1"),
    (r"roi_heads\.mask\..*", None),
]


class Converted(NamedTuple):
    """A detector's weights in detectron2's names, and what their shapes say about it.

    Attributes:
        state: the detector's weights.
        attributes: weights of its `AttributeHead`; empty where it has none.
        overrides: keys of detectron2's config that follow from the shapes.
    """

    state: dict[str, Tensor]
    attributes: dict[str, Tensor]
    overrides: dict[str, Any]


def read_weights(path: str) -> dict[str, Tensor]:
    """Names and tensors of a `.pth` file of torch or a `.pkl` file of detectron2's model zoo.

    Raises:
        InputError: where the file is missing or damaged, or holds anything but weights.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no weights' file {path}; download it first, or correct the path")
    content = read_pickle(path) if path.endswith(".pkl") else read_torch(path, refusal="cannot be read as weights")
    for outer in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(outer), dict):
            content = content[outer]
    named = content.items() if isinstance(content, dict) else ()
    given = {name: _tensor(value) for name, value in named if isinstance(name, str)}
    state = unwrapped({name: value for name, value in given.items() if value is not None})
    if not state:
        raise InputError(f"{path} holds no weights; give a file with a detector's state")
    return state


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return torch.from_numpy(np.array(value))
    return None


def file_hash(path: str) -> str:
    """sha256 of a file, its first 16 hexadecimal digits."""
    with open(path, "rb") as stream:
        return (
            hashlib.file_digest(stream, "sha256").hexdigest()[:16] if hasattr(hashlib, "file_digest") else _hash(stream)
        )


def _hash(stream: Any) -> str:
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()[:16]


def from_maskrcnn_benchmark(state: Mapping[str, Tensor], where: str) -> Converted:
    """Weights of an FPN detector in maskrcnn-benchmark's names, as detectron2's model takes them.

    Beside the names, three things differ: background is the first class there and the last one here, its frozen batch
    norm has no epsilon, and its boxes end at their last pixel, so that its anchors are one pixel larger here.

    Raises:
        InputError: for a weight whose name is unknown, or a part of the detector that is missing.
    """
    converted: dict[str, Tensor] = {}
    for name, value in state.items():
        new = _rename(name, where)
        if new is not None:
            converted[new] = _adapt(new, value)
    attributes = {name: converted.pop(name) for name in list(converted) if name.startswith("attributes.")}
    attributes = {name.removeprefix("attributes."): value for name, value in attributes.items()}
    return Converted(converted, attributes, _architecture(converted, where))


def _rename(name: str, where: str) -> str | None:
    for pattern, replacement in _RULES:
        match = re.fullmatch(pattern, name)
        if match is None:
            continue
        if replacement is None:
            return None
        if "{\\1}" in replacement:  # layer1 is called res2
            replacement = replacement.replace("{\\1}", str(int(match.group(1)) + 1))
        return match.expand(replacement)
    raise InputError(
        f"{where} has the weight '{name}', which no FPN detector of maskrcnn-benchmark has; check the file"
    )


def _adapt(name: str, value: Tensor) -> Tensor:
    if name.endswith("norm.running_var"):
        return value - _EPSILON
    if "cell_anchors" in name:
        return value + value.new_tensor([0, 0, 1, 1])
    if ".cls_score." in name or name == "attributes.class_embedding.weight":
        return value.roll(-1, dims=0)
    if ".bbox_pred." in name:
        return value[4:] if len(value) > 8 else value[-4:]  # one box a class, or two for background and foreground
    return value


def _architecture(state: Mapping[str, Tensor], where: str) -> dict[str, Any]:
    try:
        grouped = state["backbone.bottom_up.res2.0.conv2.weight"]
        hidden = state["roi_heads.box_head.fc1.weight"].shape[0]
        lateral = state["backbone.fpn_lateral2.weight"].shape[0]
        classes = state["roi_heads.box_predictor.cls_score.weight"].shape[0] - 1
        boxes = state["roi_heads.box_predictor.bbox_pred.weight"].shape[0]
    except KeyError as error:
        raise InputError(f"{where} lacks the weight that becomes {error}; it is not a whole FPN detector") from None
    blocks = len({name.split(".")[3] for name in state if name.startswith("backbone.bottom_up.res4.")})
    depth = {6: 50, 23: 101, 36: 152}.get(blocks)
    if depth is None:
        raise InputError(
            f"{where} has {blocks} blocks in its fourth stage, and a ResNet has 6, 23 or 36; check the file"
        )
    return {
        "MODEL.RESNETS.DEPTH": depth,
        "MODEL.RESNETS.NUM_GROUPS": grouped.shape[0] // grouped.shape[1],
        "MODEL.RESNETS.WIDTH_PER_GROUP": grouped.shape[1],
        "MODEL.FPN.OUT_CHANNELS": lateral,
        "MODEL.ROI_BOX_HEAD.FC_DIM": hidden,
        "MODEL.ROI_HEADS.NUM_CLASSES": classes,
        "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": boxes == 4,
    }
