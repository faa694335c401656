"""Classification of the pooled state: of a whole sequence (NLVR2, §4.3), or of each of several choices (VCR, §4.2).

Shapes: B batch, C choices, H hidden size, N classes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import Head, HeadWeights, ModelFacts
from mmf_visualbert.modules.heads.batch import no_rows, number_of_samples
from mmf_visualbert.modules.inputs import Encoded


class ScoresOutput(NamedTuple):
    """`scores`: (B, N) or (B, C), logits."""

    scores: Tensor


@register("head", "visualbert_pooled")
class PooledHead(Head):
    """Dropout and one linear map of the pooled state: is the caption true of the two images (§4.3)?

    Args:
        hidden_size: H.
        num_labels: N.
        dropout: probability of dropping an element of the state.
    """

    needs_pooler: ClassVar[bool] = True

    def __init__(self, *, hidden_size: int, num_labels: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, num_labels)

    @classmethod
    def fitted(cls, model: ModelFacts) -> dict[str, Any]:
        """The encoder's size, and the configuration's dropout."""
        return model.with_dropout(hidden_size=model.hidden_size)

    def load_bert(self, weights: HeadWeights) -> None:
        """No weight of a BERT fits."""

    def rows(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, T) bool, the text positions that this head reads: none."""
        return no_rows(batch)

    def forward(self, encoded: Encoded, batch: Mapping[str, Tensor]) -> ScoresOutput:
        """Reads nothing from the batch."""
        return ScoresOutput(self.classifier(self.dropout(encoded.pooled)))


@register("head", "visualbert_choice")
class ChoiceHead(Head):
    """Dropout and a linear map of the pooled state to one logit a sequence; the softmax is over the choices (§4.2).

    Args:
        hidden_size: H.
        dropout: probability of dropping an element of the state.
    """

    needs_pooler: ClassVar[bool] = True

    def __init__(self, *, hidden_size: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, 1)

    @classmethod
    def fitted(cls, model: ModelFacts) -> dict[str, Any]:
        """The encoder's size, and the configuration's dropout."""
        return model.with_dropout(hidden_size=model.hidden_size)

    def load_bert(self, weights: HeadWeights) -> None:
        """No weight of a BERT fits."""

    def rows(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B * C, T) bool, the text positions that this head reads: none."""
        return no_rows(batch)

    def forward(self, encoded: Encoded, batch: Mapping[str, Tensor]) -> ScoresOutput:
        """Reads the number of samples B from `id` (B,); the choices of a sample follow each other in `encoded`."""
        logits = self.classifier(self.dropout(encoded.pooled))
        return ScoresOutput(logits.view(number_of_samples(batch, len(logits)), -1))
