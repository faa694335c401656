"""Masked language modeling with the image, §3.3 objective 1.

Shapes: B batch, C texts an image, T word pieces, H hidden size, V vocabulary, M masked positions of the whole batch.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import Head, HeadWeights, ModelFacts
from mmf_visualbert.modules.heads.batch import number_of_samples
from mmf_visualbert.modules.inputs import Encoded
from mmf_visualbert.modules.on_host import host_view, places


class MaskedLMOutput(NamedTuple):
    """Logits at the masked positions, and sums for each sample that metrics add up.

    Attributes:
        masked_lm_logits: (M, V), masked positions in the order of (sequence, position).
        masked_lm_correct: (B,) float, how many of a sample's masked word pieces are guessed right.
        masked_lm_count: (B,) float, how many there are.
        masked_lm_loss_sum: (B,) float, sum of -log p over them; carries no gradient.
    """

    masked_lm_logits: Tensor
    masked_lm_correct: Tensor
    masked_lm_count: Tensor
    masked_lm_loss_sum: Tensor


class Transform(nn.Module):
    """BERT's dense map, GELU and LayerNorm before the vocabulary. (..., H) -> (..., H)."""

    def __init__(self, hidden_size: int, layer_norm_eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.LayerNorm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)

    def forward(self, states: Tensor) -> Tensor:
        """`states`: (..., H)."""
        return self.LayerNorm(functional.gelu(self.dense(states)))


@register("head", "visualbert_masked_lm")
class MaskedLMHead(Head):
    """BERT's masked LM head, the word embeddings as its last map, computed where a word piece is masked, nowhere else.

    Args:
        hidden_size: H.
        word_embeddings: of the encoder (V, H). They stay the encoder's: the head neither owns nor saves them.
        layer_norm_eps: epsilon of the LayerNorm.
    """

    needs_pooler: ClassVar[bool] = False

    def __init__(self, *, hidden_size: int, word_embeddings: nn.Embedding, layer_norm_eps: float = 1e-12) -> None:
        super().__init__()
        self.transform = Transform(hidden_size, layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(word_embeddings.num_embeddings))
        self._tied = (word_embeddings,)  # in a tuple, so that torch does not make it a part of this module

    @classmethod
    def fitted(cls, model: ModelFacts) -> dict[str, Any]:
        """The encoder's size and word embeddings."""
        return {"hidden_size": model.hidden_size, "word_embeddings": model.word_embeddings}

    def load_bert(self, weights: HeadWeights) -> None:
        """Start from BERT's own masked LM head."""
        if weights.masked_lm:
            self.load_state_dict(weights.masked_lm)

    def logits(self, states: Tensor) -> Tensor:
        """Logits of all word pieces, (..., H) -> (..., V)."""
        return functional.linear(self.transform(states), self._tied[0].weight, self.bias)

    def rows(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B or B * C, T) bool, the text positions that this head reads."""
        return self.labels(batch) != -1

    @staticmethod
    def labels(batch: Mapping[str, Tensor]) -> Tensor:
        """(B or B * C, T), the word piece that was masked, -1 elsewhere."""
        labels = batch["masked_lm_labels"]
        return labels.reshape(-1, labels.size(-1))

    def forward(self, encoded: Encoded, batch: Mapping[str, Tensor]) -> MaskedLMOutput:
        """Reads `masked_lm_labels` (B, T), (B, C, T) or (B * C, T) from the batch; in the last case also `id` (B,)."""
        labels = self.labels(batch)
        rows, columns = places(self.rows(host_view(batch)).cpu(), labels.device)
        logits, gold = self.logits(encoded.text[rows, columns]), labels[rows, columns]
        samples = number_of_samples(batch, len(labels))
        sample = rows // (len(labels) // samples)

        def add_up(values: Tensor) -> Tensor:
            return torch.zeros(samples, device=values.device).index_add(0, sample, values.float())

        with torch.no_grad():
            loss = functional.cross_entropy(logits.float(), gold, reduction="none")
            correct = add_up(logits.argmax(dim=-1) == gold)
            return MaskedLMOutput(logits, correct, add_up(torch.ones_like(gold)), add_up(loss))
