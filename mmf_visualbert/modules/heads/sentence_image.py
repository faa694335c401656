"""Sentence-image prediction, §3.3 objective 2.

Shapes: B batch, C texts an image, H hidden size.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import Head, HeadWeights, ModelFacts
from mmf_visualbert.modules.heads.batch import no_rows
from mmf_visualbert.modules.inputs import Encoded


class SentenceImageOutput(NamedTuple):
    """Logits, and sums for each sample that metrics add up.

    Attributes:
        sentence_image_logits: (B * C, 2); class 1 = the whole text describes the image, 0 = a part does not.
        sentence_image_correct: (B,) float, how many of a sample's C texts are judged right. None without labels.
        sentence_image_count: (B,) float, C. None without labels.
        sentence_image_loss_sum: (B,) float, sum of -log p over them; carries no gradient. None without labels.
    """

    sentence_image_logits: Tensor
    sentence_image_correct: Tensor | None = None
    sentence_image_count: Tensor | None = None
    sentence_image_loss_sum: Tensor | None = None


@register("head", "visualbert_sentence_image")
class SentenceImageHead(Head):
    """A linear map of the pooled state to two classes: does the text describe the image?

    Class 1 is "yes", as in the authors' code. It is the other way round in BERT's next sentence prediction (0 = the
    sentence follows), whose weights the head may start from, and in the docstring (not the code) of transformers'
    `VisualBertForPreTraining`.

    Args:
        hidden_size: H.
    """

    needs_pooler: ClassVar[bool] = True

    def __init__(self, *, hidden_size: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(hidden_size, 2)

    @classmethod
    def fitted(cls, model: ModelFacts) -> dict[str, Any]:
        """The encoder's size."""
        return {"hidden_size": model.hidden_size}

    def load_bert(self, weights: HeadWeights) -> None:
        """Start from BERT's next sentence prediction, as the authors do."""
        if weights.sentence_image:
            self.load_state_dict(weights.sentence_image)

    def rows(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B or B * C, T) bool, the text positions that this head reads: none."""
        return no_rows(batch)

    def forward(self, encoded: Encoded, batch: Mapping[str, Tensor]) -> SentenceImageOutput:
        """Reads `sentence_image_labels` (B,) or (B, C) from the batch, where there are any."""
        logits = self.classifier(encoded.pooled)
        if "sentence_image_labels" not in batch:
            return SentenceImageOutput(logits)
        labels = batch["sentence_image_labels"]
        with torch.no_grad():
            loss = nn.functional.cross_entropy(logits.float(), labels.reshape(-1), reduction="none")
            right = (logits.argmax(dim=-1) == labels.reshape(-1)).float()
            count = torch.ones_like(right)
            return SentenceImageOutput(
                logits, *(values.view(labels.size(0), -1).sum(dim=1) for values in (right, count, loss))
            )
