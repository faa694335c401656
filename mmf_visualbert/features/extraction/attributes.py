"""The attribute head of detectors trained on Visual Genome with attributes (Anderson et al., 2018)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Attributes(NamedTuple):
    """The most probable attribute of every region.

    Attributes:
        ids: (N,) int64, without the class "no attribute".
        scores: (N,) float32, softmax over the attributes.
    """

    ids: Tensor
    scores: Tensor


class AttributeHead(nn.Module):
    """Attribute of a region from its feature and its class.

    Args:
        classes: number of object classes, background not counted; the embedding has one more row, at its end.
        dimension: D, of the region's feature.
        attributes: number of outputs.
        embedding: width of a class's embedding.
        hidden: width of the hidden layer.
        activation: `hidden` where a ReLU follows the hidden layer (bottom-up attention), `output` where it follows the
            output instead (vqa-maskrcnn-benchmark, whose weights are trained that way).
        no_attribute: place of the class "no attribute" among the outputs, or None where there is none.
    """

    def __init__(
        self,
        classes: int,
        dimension: int,
        attributes: int,
        embedding: int = 256,
        hidden: int = 512,
        activation: str = "hidden",
        no_attribute: int | None = None,
    ) -> None:
        super().__init__()
        self.class_embedding = nn.Embedding(classes + 1, embedding)
        self.hidden = nn.Linear(dimension + embedding, hidden)
        self.output = nn.Linear(hidden, attributes)
        self.activation = activation
        self.no_attribute = no_attribute

    def forward(self, features: Tensor, class_ids: Tensor) -> Attributes:
        """`features` (N, D), `class_ids` (N,) int64 in 0..classes, where `classes` means background."""
        states = self.hidden(torch.cat([features, self.class_embedding(class_ids)], dim=-1))
        logits = self.output(states.relu()) if self.activation == "hidden" else self.output(states).relu()
        if self.no_attribute is not None:
            logits = torch.cat([logits[:, : self.no_attribute], logits[:, self.no_attribute + 1 :]], dim=1)
        scores, ids = logits.float().softmax(-1).max(-1)
        return Attributes(ids, scores)
