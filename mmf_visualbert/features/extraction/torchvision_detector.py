"""Detectors and grids of torchvision, which is installed already.

Its weights come by its own download, from a file in its names, or at random. They are trained on COCO's 80 classes, and
not on Visual Genome's 1600 as those of the paper (`pythia_x152` and its like), which stay the paper's.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction import weights as weight_files
from mmf_visualbert.features.extraction.detector import PRECISIONS, Built, Regions
from mmf_visualbert.features.extraction.presets import DetectorPreset
from mmf_visualbert.features.extraction.selection import Selection, select

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB, as all of torchvision's models are trained
STRIDE = 32  # images are padded to a multiple
GRID = "grid"


def normalized(images: list[Tensor], device: torch.device) -> Tensor:
    """(B, 3, h, w) float32 RGB as torchvision's models take it, of (3, h, w) BGR, 0 to 255, all of one size."""
    batch = torch.stack(images).to(device).float().flip(1) / 255
    mean, deviation = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return (batch - mean) / deviation


class TorchvisionDetector:
    """Finds regions in images, or takes given ones, and gives the states of the box head.

    Args:
        model: torchvision's Faster R-CNN with an FPN, in eval mode.
        selection: which proposals are kept.
        precision: see `RegionDetector`.
    """

    def __init__(self, model: Any, selection: Selection, precision: str = "fp32") -> None:
        self.model, self.selection, self.precision = model, selection, precision
        self.dimension = int(model.roi_heads.box_predictor.cls_score.in_features)

    @torch.inference_mode()
    def __call__(self, images: list[Tensor], given: list[Tensor] | None = None) -> list[Regions]:
        """Regions of a batch of images of the same size: see `RegionDetector`."""
        from torchvision.models.detection.image_list import ImageList

        device, dtype = next(self.model.parameters()).device, PRECISIONS[self.precision]
        height, width = images[0].shape[1:]
        sizes = [(height, width)] * len(images)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            batch = normalized(images, device)
            padded = functional.pad(batch, (0, -width % STRIDE, 0, -height % STRIDE))
            maps = self.model.backbone(padded)
            if given is None:
                boxes = self.model.rpn(ImageList(padded, sizes), maps, None)[0]
            else:
                boxes = [one.to(device).float() for one in given]
            states = self.model.roi_heads.box_head(self.model.roi_heads.box_roi_pool(maps, boxes, sizes))
            logits, _ = self.model.roi_heads.box_predictor(states)
        counts = [len(one) for one in boxes]
        parts = zip(boxes, states.float().split(counts), logits.float().split(counts), strict=True)
        return [self._keep(one, state, logit, given is not None) for one, state, logit in parts]

    def _keep(self, boxes: Tensor, states: Tensor, logits: Tensor, given: bool) -> Regions:
        probabilities = logits.softmax(-1)[:, 1:]  # the background is the first class
        if not given and len(boxes):
            index = select(boxes, probabilities, self.selection).index
            boxes, states, probabilities = boxes[index], states[index], probabilities[index]
        scores, class_ids = probabilities.max(-1) if len(boxes) else (boxes.new_zeros(0), boxes.new_zeros(0).long())
        return Regions(states, boxes, class_ids, scores)


class TorchvisionGrid:
    """The last feature map of a ResNet in cells of equal size, each a region (grid features).

    Args:
        model: torchvision's ResNet without its classifier, in eval mode: (B, 3, h, w) -> (B, D, h / 32, w / 32).
        side: cells a side.
        dimension: D.
        precision: see `RegionDetector`.
    """

    def __init__(self, model: nn.Module, side: int, dimension: int, precision: str = "fp32") -> None:
        self.model, self.side, self.dimension, self.precision = model, side, dimension, precision

    @torch.inference_mode()
    def __call__(self, images: list[Tensor], given: list[Tensor] | None = None) -> list[Regions]:
        """The cells of a batch of images of the same size, row by row; their class is 0 and their score 1.

        Raises:
            InputError: for given boxes.
        """
        if given is not None:
            raise InputError("a grid has cells of its own; leave --boxes out, or take a detector")
        device, dtype = next(self.model.parameters()).device, PRECISIONS[self.precision]
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            maps = self.model(normalized(images, device))
        cells = functional.adaptive_avg_pool2d(maps.float(), self.side).flatten(2).transpose(1, 2)  # (B, S · S, D)
        height, width = images[0].shape[1:]
        boxes = self._boxes(height, width, device)
        nothing, certain = boxes.new_zeros(len(boxes)).long(), boxes.new_ones(len(boxes))
        return [Regions(features, boxes, nothing, certain) for features in cells]

    def _boxes(self, height: int, width: int, device: torch.device) -> Tensor:
        down, across = (torch.linspace(0, size, self.side + 1, device=device) for size in (height, width))
        left, top = across[:-1].repeat(self.side), down[:-1].repeat_interleave(self.side)
        right, bottom = across[1:].repeat(self.side), down[1:].repeat_interleave(self.side)
        return torch.stack([left, top, right, bottom], dim=1)


def build_torchvision(preset: DetectorPreset, weights: str, device: str = "cpu", precision: str = "fp32") -> Built:
    """The detector or grid of a preset of the format `torchvision`.

    Args:
        preset: its `config` is the name of torchvision's model, its `overrides` are that model's keywords.
        weights: a file, `zoo` for torchvision's own (downloaded), or `random:SEED`.
        device, precision: as `build_detector`.

    Raises:
        InputError: where the weights cannot be had or do not fit, or the model is none of this kind.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision is one of {', '.join(PRECISIONS)}, not '{precision}'")
    model, name, digest = _model(preset, weights)
    if preset.layer == GRID:
        side = math.isqrt(preset.selection.most)
        if side * side != preset.selection.most:
            raise InputError(
                f"a grid has as many rows as columns, and not {preset.selection.most} cells; give a square"
            )
        dimension = model.fc.in_features
        trunk = nn.Sequential(*list(model.children())[:-2]).eval().to(device)
        return Built(TorchvisionGrid(trunk, side, dimension, precision), name, digest)
    detector = TorchvisionDetector(model.eval().to(device), preset.selection, precision)
    if preset.dimension not in (0, detector.dimension):
        raise InputError(f"'{preset.detector}' gives features of {detector.dimension}; set its dimension to that")
    return Built(detector, name, digest)


def _model(preset: DetectorPreset, weights: str) -> tuple[Any, str, str]:
    """The model with its weights, and their name and hash."""
    from torchvision.models import get_model

    options: Mapping[str, Any] = {**preset.overrides, "weights": None}
    if preset.layer != GRID:
        options = {**options, "weights_backbone": None}
    seed = weights.partition(":")[2] if weights.startswith("random") else ""
    torch.manual_seed(int(seed) if seed.isdigit() else 0)
    try:
        if weights == "zoo":
            return get_model(preset.config, **{**options, "weights": "DEFAULT"}), f"torchvision {preset.config}", ""
        model = get_model(preset.config, **options)
    except (ValueError, TypeError) as error:
        raise InputError(f"torchvision does not build '{preset.config}' ({error}); correct the preset") from None
    except Exception as error:  # whatever a download may raise
        raise InputError(
            f"the weights of '{preset.detector}' could not be fetched ({error}); download them and give --weights FILE"
        ) from None
    if weights.startswith("random"):
        return model, f"random:{seed or 0}", ""
    state = weight_files.read_weights(weights)
    missing = [key for key, value in model.state_dict().items() if key not in state or state[key].shape != value.shape]
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing:
        raise InputError(
            f"{weights} lacks {len(missing)} weights of torchvision's {preset.config}, or has them of another shape, "
            f"the first of them '{missing[0]}'; give a file of that model"
        )
    model.load_state_dict({key: value for key, value in state.items() if key in model.state_dict()}, strict=False)
    return model, weights.rsplit("/", 1)[-1], weight_files.file_hash(weights)
