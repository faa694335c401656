"""Losses over the labels of a table."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import CountedLoss, Mean
from mmf_visualbert.errors import InputError

BALANCED = "balanced"


@register("loss", "visualbert_label_cross_entropy")
class LabelCrossEntropy(CountedLoss):
    """L = -(1 / sum_b w_b) sum_b w_b log softmax(scores_b)[target_b], w the weight of the target's class.

    Args:
        class_weights: one for each label in their order; "balanced": all labels of a split weigh alike, however many
            rows they have; None: all rows alike.
    """

    weights: Tensor | None

    def __init__(self, class_weights: Sequence[float] | str | None = None) -> None:
        super().__init__()
        if isinstance(class_weights, str) and class_weights != BALANCED:
            raise InputError(f"class_weights are '{class_weights}'; give numbers, one for each label, or {BALANCED}")
        self.balanced = class_weights == BALANCED
        if isinstance(class_weights, str):
            class_weights = None
        weights = None if class_weights is None else torch.tensor(list(class_weights), dtype=torch.float32)
        if weights is not None and not bool((weights >= 0).all() and weights.sum() > 0):
            raise InputError(f"class_weights are {class_weights}; give numbers from 0 on, one of them above it")
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch, ()."""
        return self.mean(sample_list, model_output).value

    def mean(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Mean:
        """Reads `targets` (B,) int64 and `scores` (B, N) logits; balanced also `label_weights` (B,).

        Raises:
            InputError: where there are not as many weights as labels, or the dataset gives none to balance by.
        """
        scores = model_output["scores"].float()
        if self.balanced:
            return self._balanced(sample_list, scores)
        if self.weights is not None and len(self.weights) != scores.size(1):
            raise InputError(f"there are {len(self.weights)} class_weights for {scores.size(1)} labels; give each one")
        targets = sample_list["targets"]
        weights = None if self.weights is None else self.weights.to(scores.device)
        count = targets.new_full((), len(targets)) if weights is None else weights[targets].sum()
        return Mean(functional.cross_entropy(scores, targets, weights, reduction="sum"), count)

    @staticmethod
    def _balanced(sample_list: Mapping[str, Tensor], scores: Tensor) -> Mean:
        if "label_weights" not in sample_list:
            raise InputError(
                "class_weights: balanced is for tables of the kinds classification and binary; give numbers instead"
            )
        weights = sample_list["label_weights"].to(scores)
        losses = functional.cross_entropy(scores, sample_list["targets"], reduction="none")
        return Mean((weights * losses).sum(), weights.sum())


@register("loss", "visualbert_binary_cross_entropy")
class BinaryCrossEntropy(nn.Module):
    """L = -(1 / BN) sum_bn [t log sigmoid(s) + (1 - t) log(1 - sigmoid(s))]: each label by itself."""

    def forward(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """Reads `targets` (B, N) float, 0 or 1, and `scores` (B, N) logits. Gives ()."""
        return functional.binary_cross_entropy_with_logits(model_output["scores"].float(), sample_list["targets"])


@register("loss", "visualbert_squared_error")
class SquaredError(nn.Module):
    """L = (1 / B) sum_b (s_b - t_b)^2."""

    def forward(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """Reads `targets` (B,) float and `scores` (B, 1). Gives ()."""
        return functional.mse_loss(model_output["scores"].float().squeeze(1), sample_list["targets"])
