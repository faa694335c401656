"""What is used of detectron2's models, which come without types: a GeneralizedRCNN with one box head, FPN or C4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

# Feature maps, and boxes wrapped as detectron2's `Boxes` -> (P, C, h, w).
RegionPooler = Callable[[list[Tensor], list[Any]], Tensor]


class Stateful(Protocol):
    """What has weights under names."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """Those that are stored."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Those that are trained."""

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Those that are not."""


class Stem(Protocol):
    """The first convolution of a ResNet, with what the stages after it are told."""

    conv1: nn.Module
    stride: int
    out_channels: int


class Bottleneck(Protocol):
    """A block of a ResNet; `shortcut` where its sizes change."""

    conv1: nn.Conv2d
    conv2: nn.Conv2d
    conv3: nn.Conv2d


class BoxPredictor(Protocol):
    """States (P, H) -> logits (P, C + 1), and shifts of the boxes."""

    cls_score: nn.Linear

    def __call__(self, states: Tensor) -> tuple[Tensor, Tensor]: ...


class BoxHeads(Protocol):
    """`roi_heads`: with an FPN `box_pooler` and `box_head`, with C4 `pooler` and `res5`."""

    box_predictor: BoxPredictor
    box_pooler: RegionPooler
    box_in_features: Sequence[str]
    box_head: nn.Module
    pooler: RegionPooler
    in_features: Sequence[str]
    res5: Blocks


class Blocks(Protocol):
    """A stage of a ResNet."""

    def __call__(self, maps: Tensor) -> Tensor: ...
    def __getitem__(self, index: int) -> Bottleneck: ...
    def __iter__(self) -> Iterator[Bottleneck]: ...


class Images(Protocol):
    """A batch as the model takes it, `tensor` (B, 3, h, w)."""

    tensor: Tensor


class Proposals(Protocol):
    """Of one image; `proposal_boxes.tensor` is (P, 4)."""

    proposal_boxes: Any


class RCNN(Stateful, Protocol):
    """The model."""

    backbone: Callable[[Tensor], Mapping[str, Tensor]]
    proposal_generator: Callable[[Images, Mapping[str, Tensor], None], tuple[Iterable[Proposals], Any]]
    roi_heads: BoxHeads

    def preprocess_image(self, batched_inputs: list[dict[str, Tensor]]) -> Images:
        """Images, normalised and padded to one size."""

    def inference(self, batched_inputs: list[dict[str, Tensor]], do_postprocess: bool = True) -> Any:
        """detectron2's own detections."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """As torch's modules."""

    def eval(self) -> RCNN:
        """As torch's modules."""
