"""A detectron2 detector that gives a feature for every region. detectron2 is imported where a detector is built."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmf_visualbert.compat.optional import require_detectron2
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction import choices
from mmf_visualbert.features.extraction import weights as weight_files
from mmf_visualbert.features.extraction.attributes import AttributeHead
from mmf_visualbert.features.extraction.presets import DetectorPreset
from mmf_visualbert.features.extraction.rcnn import RCNN, Bottleneck, Images, Stateful, Stem
from mmf_visualbert.features.extraction.selection import Selection, select

PRECISIONS = dict(zip(choices.PRECISIONS, (None, torch.bfloat16, torch.float16), strict=True))


class Regions(NamedTuple):
    """What a detector finds in one image, the most confident region first.

    Attributes:
        features: (N, D) float32.
        boxes: (N, 4) float32, x1, y1, x2, y2 in pixels of the resized image.
        class_ids: (N,) int64, the most probable class, without background.
        scores: (N,) float32, the probability of that class.
        attribute_ids: (N,) int64, or None.
        attribute_scores: (N,) float32, or None.
    """

    features: Tensor
    boxes: Tensor
    class_ids: Tensor
    scores: Tensor
    attribute_ids: Tensor | None = None
    attribute_scores: Tensor | None = None


class BoxOutputs(NamedTuple):
    """What the box head gives for the boxes of all images: features (P, D), logits (P, C + 1), states (P, H)."""

    features: Tensor
    logits: Tensor
    states: Tensor


class RegionDetector:
    """Finds regions in images, or takes given ones, and gives their features.

    Args:
        model: detectron2's GeneralizedRCNN with an FPN or a C4 head, in eval mode.
        layer: `fc6`, `fc7` or `res5`.
        selection: which proposals are kept.
        attributes: the attribute head, or None.
        inclusive_boxes: boxes end at their last pixel.
        precision: `fp32`, or `bf16` and `fp16` for autocast.
    """

    def __init__(
        self,
        model: RCNN,
        layer: str,
        selection: Selection,
        attributes: AttributeHead | None = None,
        inclusive_boxes: bool = False,
        precision: str = "fp32",
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision is one of {', '.join(PRECISIONS)}, not '{precision}'")
        self.model, self.layer, self.selection = model, layer, selection
        self.attributes, self.inclusive_boxes, self.precision = attributes, inclusive_boxes, precision
        self.dimension = _dimension(model, layer)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @torch.inference_mode()
    def __call__(self, images: list[Tensor], given: list[Tensor] | None = None) -> list[Regions]:
        """Regions of a batch of images of the same size.

        Args:
            images: (3, h, w) uint8 or float32 each, BGR, 0 to 255, resized.
            given: boxes (N, 4) of each image in pixels of the resized image, in place of the detector's own.
        """
        dtype = PRECISIONS[self.precision]
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            batch = self.model.preprocess_image([{"image": image} for image in images])
            maps = self.model.backbone(batch.tensor)
            boxes = self.propose(batch, maps) if given is None else [one.to(self.device).float() for one in given]
            outputs = self.box_outputs(maps, boxes)
        counts = [len(one) for one in boxes]
        parts = [part.float().split(counts) for part in outputs]
        return [
            self._keep(one, features, logits, states, given is not None)
            for one, features, logits, states in zip(boxes, *parts, strict=True)
        ]

    def propose(self, batch: Images, maps: Mapping[str, Tensor]) -> list[Tensor]:
        """The proposals (P, 4) of each image, in the box convention that the head was trained with."""
        proposals, _ = self.model.proposal_generator(batch, maps, None)
        boxes = [one.proposal_boxes.tensor.float() for one in proposals]
        return [one - one.new_tensor([0, 0, 1, 1]) for one in boxes] if self.inclusive_boxes else boxes

    def box_outputs(self, maps: Mapping[str, Tensor], boxes: list[Tensor]) -> BoxOutputs:
        """Features and class logits at boxes (P, 4) of each image."""
        from detectron2.structures import Boxes

        heads = self.model.roi_heads
        wrapped = [Boxes(one) for one in boxes]
        if self.layer == "res5":
            pooled = heads.res5(heads.pooler([maps[name].float() for name in heads.in_features], wrapped))
            states = features = pooled.mean(dim=[2, 3])
        else:
            states = heads.box_pooler([maps[name].float() for name in heads.box_in_features], wrapped)
            wanted = f"fc_relu{int(self.layer[2:]) - 5}"
            for name, part in heads.box_head.named_children():
                states = part(states)
                if name == wanted:
                    features = states
        logits, _ = heads.box_predictor(states)
        return BoxOutputs(features, logits, states)

    def _keep(self, boxes: Tensor, features: Tensor, logits: Tensor, states: Tensor, given: bool) -> Regions:
        probabilities = logits.softmax(-1)[:, :-1]
        if not given:
            index = select(boxes, probabilities, self.selection).index
            boxes, features, logits = boxes[index], features[index], logits[index]
            states, probabilities = states[index], probabilities[index]
        scores, class_ids = probabilities.max(-1) if len(boxes) else (boxes.new_zeros(0), boxes.new_zeros(0).long())
        found = None if self.attributes is None else self.attributes(states, logits.argmax(-1))
        extra = (None, None) if found is None else (found.ids, found.scores)
        return Regions(features, boxes, class_ids, scores, *extra)


class CaffeStem(nn.Module):
    """A ResNet's stem whose pooling rounds sizes up and does not pad, as caffe's (bottom-up attention)."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.conv1 = stem.conv1
        self.stride, self.out_channels = stem.stride, stem.out_channels

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) to (B, C, h / 4, w / 4)."""
        return functional.max_pool2d(self.conv1(images).relu(), kernel_size=3, stride=2, ceil_mode=True)


class Detector(Protocol):
    """What finds regions in images, or takes given ones, and gives their features."""

    @property
    def dimension(self) -> int:
        """D."""

    @property
    def precision(self) -> str:
        """`fp32`, `bf16` or `fp16`."""

    def __call__(self, images: list[Tensor], given: list[Tensor] | None = None) -> list[Regions]:
        """Regions of a batch of images of the same size: see `RegionDetector`."""


class Built(NamedTuple):
    """A detector, and what its store has to say about its weights: a name and a hash."""

    detector: Detector
    weights: str
    weights_hash: str


def build_detector(preset: DetectorPreset, weights: str, device: str = "cpu", precision: str = "fp32") -> Built:
    """The detector of a preset: detectron2's, or torchvision's where the preset's format is that.

    Args:
        preset: what to build.
        weights: a file, `zoo` for the model zoo's (downloaded), or `random:SEED` for trying things out.
        device: as torch names it.
        precision: see `RegionDetector`.

    Raises:
        InputError: where detectron2 is missing, or config, layer, dimension and weights do not fit together.
    """
    if preset.format == "torchvision":
        from mmf_visualbert.features.extraction.torchvision_detector import build_torchvision

        return build_torchvision(preset, weights, device, precision)
    require_detectron2()
    path, seed = _weights_path(preset, weights)
    attributes = dict(preset.attributes)
    overrides = dict(preset.overrides)
    state: dict[str, Tensor] = {}
    head_state: dict[str, Tensor] = {}
    if path is not None:
        state = weight_files.read_weights(path)
        if preset.format == "maskrcnn_benchmark":
            state, head_state, derived = weight_files.from_maskrcnn_benchmark(state, path)
            overrides |= derived
        else:
            head_state = _take(state, preset.attribute_names)
        attributes = attributes if head_state else {}
        if head_state:
            attributes["attributes"] = len(head_state["output.weight"])
    torch.manual_seed(seed)
    config = _config(preset, overrides, device)
    model = _model(preset, config)
    head = _attribute_head(model, attributes)
    if path is None:
        _limit_residuals(model)
    else:
        _load(model, state, path)
        if head is not None:
            _load(head, head_state, path)
    head = None if head is None else head.to(device).eval()
    detector = RegionDetector(model.eval(), preset.layer, preset.selection, head, preset.inclusive_boxes, precision)
    if preset.dimension not in (0, detector.dimension):
        raise InputError(
            f"the detector '{preset.detector}' gives features of dimension {detector.dimension} from {preset.layer} "
            f"and its preset says {preset.dimension}; correct the preset, or give the weights that belong to it"
        )
    name = path.rsplit("/", 1)[-1] if path else f"random:{seed}"
    return Built(detector, name, weight_files.file_hash(path) if path else "")


def _weights_path(preset: DetectorPreset, weights: str) -> tuple[str | None, int]:
    if weights.startswith("random"):
        _, _, seed = weights.partition(":")
        return None, int(seed) if seed.isdigit() else 0
    if weights != "zoo":
        return weights, 0
    from detectron2 import model_zoo
    from detectron2.utils.file_io import PathManager

    try:
        url = model_zoo.get_checkpoint_url(preset.config) if preset.weights in ("", "zoo") else preset.weights
        return PathManager.get_local_path(url), 0
    except Exception as error:  # whatever a download may raise
        raise InputError(
            f"the weights of '{preset.detector}' could not be fetched ({error}); download them and give --weights FILE"
        ) from None


def _take(state: dict[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Takes the attribute head's weights out of a detector's, under the head's own names."""
    taken = {}
    for layer, prefix in names.items():
        for name in [name for name in state if name.startswith(f"{prefix}.")]:
            taken[layer + name.removeprefix(prefix)] = state.pop(name)
    return taken


def _config(preset: DetectorPreset, overrides: Mapping[str, Any], device: str) -> Any:
    from detectron2 import model_zoo
    from detectron2.config import get_cfg

    config = get_cfg()
    try:
        own_file = preset.config.startswith(("/", "./")) or not preset.config.startswith(("COCO", "LVIS", "Misc"))
        config.merge_from_file(preset.config if own_file else model_zoo.get_config_file(preset.config))
        config.merge_from_list([part for pair in overrides.items() for part in pair])
    except (RuntimeError, KeyError, AssertionError, ValueError, FileNotFoundError) as error:
        raise InputError(f"detectron2 does not take the config of '{preset.detector}': {error}") from None
    config.MODEL.DEVICE = device
    return config


def _model(preset: DetectorPreset, config: Any) -> RCNN:
    from detectron2.modeling import build_model

    model = build_model(config)
    heads = getattr(model, "roi_heads", None)
    if heads is None or isinstance(getattr(heads, "box_predictor", None), nn.ModuleList):
        raise InputError(
            f"the detector '{preset.detector}' has no single box head to take features from; "
            "use a Faster or Mask R-CNN with an FPN or C4 head"
        )
    if preset.caffe_max_pool:
        bottom_up = getattr(model.backbone, "bottom_up", model.backbone)
        bottom_up.stem = CaffeStem(bottom_up.stem)
    if preset.res5_dilation != 1:
        _dilate(heads.res5, preset.res5_dilation)
    return model


def _dilate(blocks: Iterable[Bottleneck], dilation: int) -> None:
    """Keeps the resolution in a C4 head's last stage: no stride, and wider kernels instead."""
    for block in blocks:
        for layer in (block.conv1, block.conv2, getattr(block, "shortcut", None)):
            if layer is not None:
                layer.stride = (1, 1)
        block.conv2.padding = block.conv2.dilation = (dilation, dilation)


def _dimension(model: RCNN, layer: str) -> int:
    heads = model.roi_heads
    if layer == "res5" and hasattr(heads, "res5"):
        return heads.res5[-1].conv3.out_channels
    part = getattr(heads, "box_head", nn.Module())
    found = getattr(part, f"fc{int(layer[2:]) - 5}", None) if layer in ("fc6", "fc7") else None
    if found is None:
        raise InputError(f"the detector has no layer '{layer}' in its box head; take fc6 or fc7 (FPN), or res5 (C4)")
    return found.out_features


def _attribute_head(model: RCNN, attributes: Mapping[str, Any]) -> AttributeHead | None:
    if not attributes:
        return None
    predictor = model.roi_heads.box_predictor.cls_score
    return AttributeHead(classes=predictor.out_features - 1, dimension=predictor.in_features, **attributes)


def _limit_residuals(model: Stateful) -> None:
    """Keeps random weights finite: without a trained norm, each residual block of a deep ResNet doubles its input."""
    for name, value in model.named_buffers():
        if name.endswith("conv3.norm.weight"):
            value.fill_(0.25)


def _load(model: Stateful, state: Mapping[str, Tensor], where: str) -> None:
    """Loads weights of which none is missing. More than the model has is allowed: masks and keypoints are left out."""
    own = model.state_dict()
    missing = sorted(name for name in own if name not in state and "num_batches_tracked" not in name)
    missing = [name for name in missing if not name.startswith(("pixel_", "proposal_generator.anchor_generator"))]
    misfits = [name for name in own if name in state and own[name].shape != state[name].shape]
    if missing:
        raise InputError(
            f"{where} lacks {len(missing)} weights of this detector, the first of them '{missing[0]}'; "
            "give the file that belongs to its config, in detectron2's names"
        )
    if misfits:
        name = misfits[0]
        raise InputError(
            f"{where} has '{name}' of shape {tuple(state[name].shape)} and the detector's is "
            f"{tuple(own[name].shape)}; give the file that belongs to its config"
        )
    with torch.no_grad():
        for name, value in _tensors(model):
            if name in state:
                value.copy_(state[name])


def _tensors(model: Stateful) -> Iterable[tuple[str, Tensor]]:
    """Parameters and buffers, also those that a state does not hold: anchors come with maskrcnn-benchmark's weights."""
    yield from model.named_parameters()
    yield from model.named_buffers()
