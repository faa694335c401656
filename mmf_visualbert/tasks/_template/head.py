"""What reads the encoder's states for the task."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import Head, HeadWeights, ModelFacts
from mmf_visualbert.modules.heads.batch import no_rows
from mmf_visualbert.modules.inputs import Encoded

from .records import LABELS

NAME = "visualbert_template"


class TemplateOutput(NamedTuple):
    """`scores`: (B, N), logits of `LABELS`. What `mmf_predict` collects is called `scores`."""

    scores: Tensor


@register("head", NAME)
class TemplateHead(Head):
    """Dropout and one linear map of the pooled state.

    Args:
        hidden_size: of the encoder.
        dropout: probability of dropping an element of the state.
    """

    needs_pooler: ClassVar[bool] = True

    def __init__(self, *, hidden_size: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, len(LABELS))

    @classmethod
    def fitted(cls, model: ModelFacts) -> dict[str, Any]:
        """The encoder's size, and the configuration's dropout."""
        return model.with_dropout(hidden_size=model.hidden_size)

    def load_bert(self, weights: HeadWeights) -> None:
        """No weight of a BERT fits."""

    def rows(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, T) bool, the text positions that this head reads: none beside [CLS]."""
        return no_rows(batch)

    def forward(self, encoded: Encoded, batch: Mapping[str, Tensor]) -> TemplateOutput:
        """Reads nothing from the batch."""
        return TemplateOutput(self.classifier(self.dropout(encoded.pooled)))
