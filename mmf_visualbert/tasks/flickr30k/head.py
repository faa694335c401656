"""Which region a phrase refers to: an additional self-attention block (§4.4, Appendix D)."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import Head, HeadWeights, ModelFacts
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.inputs import Encoded

RECALLS = (1, 5, 10)


class PhraseCounts(NamedTuple):
    """Per sample, what recall is made of. All int64; B samples, C phrase types.

    Attributes:
        phrase_count: (B,) phrases that count.
        phrase_hit1: (B,) those whose first region matches.
        phrase_hit5: (B,) those with a match among their first 5 regions.
        phrase_hit10: (B,) those with a match among their first 10 regions.
        phrase_upper: (B,) those with a match among all regions.
        phrase_cut: (B,) those that stood beyond the cut of the text. They are misses.
        phrase_type_count: (B, C) phrases that count, by type.
        phrase_type_hit1: (B, C) those whose first region matches, by type.
    """

    phrase_count: Tensor
    phrase_hit1: Tensor
    phrase_hit5: Tensor
    phrase_hit10: Tensor
    phrase_upper: Tensor
    phrase_cut: Tensor
    phrase_type_count: Tensor
    phrase_type_hit1: Tensor


class PhraseGroundingOutput(NamedTuple):
    """Output of `PhraseGrounding`. B samples, E phrases, R regions of the untrimmed batch.

    Attributes:
        scores: (B, E · R) float32, row-major: log-probability that a phrase refers to a region; -inf at padding, at
            phrases that do not exist and at those that were cut off. Two-dimensional and of one size in all batches,
            because that is what MMF can collect.
        phrase_choice: (B, E) int64, the most probable region; -1 where there is none.
        The fields of `PhraseCounts`, None where the batch has no `phrase_targets`.
    """

    scores: Tensor
    phrase_choice: Tensor
    phrase_count: Tensor | None = None
    phrase_hit1: Tensor | None = None
    phrase_hit5: Tensor | None = None
    phrase_hit10: Tensor | None = None
    phrase_upper: Tensor | None = None
    phrase_cut: Tensor | None = None
    phrase_type_count: Tensor | None = None
    phrase_type_hit1: Tensor | None = None


@register("head", "visualbert_phrase_grounding")
class PhraseGrounding(Head):
    """The average, over its heads, of one more self-attention's weights from a phrase to the regions.

    The query is the last layer's state at the last sub-word of the phrase, the keys are those at the regions. Each
    head's weights are normalised over the regions of the image, because the answer is one of them; their mean is a
    probability. Nothing reads the block's output, so it has neither values nor an output map, and no unused parameter.
    The head reads the states of regions, so no rows of the text are enough.

    Args:
        hidden_size: H.
        heads: attention heads; 12 as in the Transformer (§4). With `heads=1, head_size=64` it is the released code's.
        head_size: width of a head; None: hidden_size / heads.
        phrase_types: number of phrase types that are counted.

    Raises:
        InputError: where hidden_size is no multiple of heads and head_size is not given.
    """

    needs_pooler: ClassVar[bool] = False

    def __init__(
        self,
        *,
        hidden_size: int,
        heads: int = 12,
        head_size: int | None = None,
        phrase_types: int = 8,
    ) -> None:
        super().__init__()
        if head_size is None and hidden_size % heads:
            raise InputError(
                f"visualbert_phrase_grounding: hidden_size {hidden_size} is not a multiple of heads {heads}; "
                "set heads or head_size"
            )
        self.num_heads = heads
        self.head_size = head_size or hidden_size // heads
        self.phrase_types = phrase_types
        self.query = nn.Linear(hidden_size, self.num_heads * self.head_size)
        self.key = nn.Linear(hidden_size, self.num_heads * self.head_size)

    @classmethod
    def fitted(cls, model: ModelFacts) -> dict[str, Any]:
        """As wide as the encoder, with as many heads."""
        return {"hidden_size": model.hidden_size, "heads": model.num_heads}

    def load_bert(self, weights: HeadWeights) -> None:
        """No weight of a BERT fits."""

    def rows(self, batch: Mapping[str, Tensor]) -> None:
        """Every state: it reads those of regions."""

    def forward(self, encoded: Encoded, batch: Mapping[str, Tensor]) -> PhraseGroundingOutput:
        """Scores of every phrase, and, where the batch has `phrase_targets`, the counts that recall is made of.

        Args:
            encoded: states of T word pieces and R' regions, trimmed to what the batch uses.
            batch: `phrase_positions` (B, E) int64, padded with -1; `region_mask` (B, R), R >= R'; and, for the counts,
                `phrase_targets` (B, E, R) bool, `phrase_mask` (B, E) bool, `phrase_types` (B, E) int64.
        """
        positions = batch["phrase_positions"]
        readable = (positions >= 0)[:, :, None] & encoded.region_mask[:, None, :]  # (B, E, R')
        log_probabilities = self.log_probabilities(encoded, positions).masked_fill(~readable, -math.inf)
        choice = _choice(log_probabilities, readable)
        padding = batch["region_mask"].shape[1] - log_probabilities.shape[2]
        scores = nn.functional.pad(log_probabilities, (0, padding), value=-math.inf).flatten(1)
        if "phrase_targets" not in batch:
            return PhraseGroundingOutput(scores, choice)
        counts = count_hits(log_probabilities.detach(), batch, self.phrase_types)
        return PhraseGroundingOutput(scores, choice, *counts)

    def log_probabilities(self, encoded: Encoded, positions: Tensor) -> Tensor:
        """Log of the heads' mean attention weights: (B, E, R') float32; finite also where there is nothing to read.

        Args:
            encoded: states of T word pieces and R' regions.
            positions: (B, E) int64, of word pieces; negative ones give a row without meaning.
        """
        index = positions.clamp(min=0)[:, :, None].expand(-1, -1, encoded.text.shape[2])
        queries = self._split(self.query(encoded.text.gather(1, index)))  # (B, heads, E, head size)
        keys = self._split(self.key(encoded.regions))  # (B, heads, R', head size)
        logits = (queries @ keys.transpose(-1, -2)).float() / math.sqrt(self.head_size)
        # Not -inf: an image without regions would give a gradient of NaN.
        logits = logits.masked_fill(~encoded.region_mask[:, None, None, :], torch.finfo(logits.dtype).min)
        return logits.log_softmax(dim=-1).logsumexp(dim=1) - math.log(self.num_heads)

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(2, (self.num_heads, self.head_size)).transpose(1, 2)


def count_hits(log_probabilities: Tensor, batch: Mapping[str, Tensor], phrase_types: int) -> PhraseCounts:
    """What recall is made of, as BAN counts it: a phrase without a matching region, or cut off, is a miss.

    Args:
        log_probabilities: (B, E, R'), -inf where there is nothing to choose.
        batch: as in `PhraseGrounding.forward`.
        phrase_types: C.
    """
    counts = batch["phrase_mask"]
    targets = batch["phrase_targets"][:, :, : log_probabilities.shape[2]] & counts[:, :, None]
    best, order = log_probabilities.topk(min(max(RECALLS), log_probabilities.shape[2]), dim=2)
    found = targets.gather(2, order) & ~best.isinf()
    hits_1, hits_5, hits_10 = (found[:, :, :k].any(dim=2) for k in RECALLS)  # each (B, E)
    types = torch.arange(phrase_types, device=counts.device)
    by_type = (batch["phrase_types"].clamp(min=0)[:, :, None] == types).long()  # (B, E, C); `one_hot` asks for the most
    return PhraseCounts(
        counts.sum(1),
        hits_1.sum(1),
        hits_5.sum(1),
        hits_10.sum(1),
        targets.any(dim=2).sum(1),
        (counts & (batch["phrase_positions"] < 0)).sum(1),
        (by_type * counts[:, :, None]).sum(1),
        (by_type * hits_1[:, :, None]).sum(1),
    )


def _choice(log_probabilities: Tensor, readable: Tensor) -> Tensor:
    if log_probabilities.shape[2] == 0:
        return log_probabilities.new_full(log_probabilities.shape[:2], -1, dtype=torch.int64)
    return log_probabilities.argmax(dim=2).masked_fill(~readable.any(dim=2), -1)
