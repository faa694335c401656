"""Losses of region-to-phrase grounding."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import CountedLoss, Mean
from mmf_visualbert.errors import InputError

REDUCTIONS = ("phrases", "released")


@register("loss", "visualbert_phrase_cross_entropy")
class PhraseCrossEntropy(CountedLoss):
    """Cross entropy with the target spread evenly over all matching regions (Appendix D, "the same [...] as on VQA").

    For a phrase with n matching regions: - 1/n · sum over them of log p. Phrases without a match, or cut off with the
    text, have no target and do not enter.

    Args:
        reduction: "phrases": mean over the batch's phrases that have a target. "released": the authors' code,
            Kullback-Leibler divergence, summed over the phrases and divided by the number of captions.

    Raises:
        InputError: for another reduction.
    """

    def __init__(self, reduction: str = "phrases") -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise InputError(
                f"visualbert_phrase_cross_entropy: reduction is '{reduction}'; set one of {', '.join(REDUCTIONS)}"
            )
        self.reduction = reduction

    def forward(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The loss, a scalar; 0 with a gradient of 0 where no phrase has a target."""
        return self.mean(sample_list, model_output).value

    def mean(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Mean:
        """The sum over the phrases that have a target, and their number, or that of the captions.

        Args:
            sample_list: `phrase_targets` (B, E, R) bool, `phrase_mask` (B, E) bool, `phrase_positions` (B, E) int64.
            model_output: `scores` (B, E · R) log-probabilities, -inf at padding.
        """
        targets = sample_list["phrase_targets"]
        log_probabilities = model_output["scores"].view(targets.shape)
        readable = sample_list["phrase_mask"] & (sample_list["phrase_positions"] >= 0)
        matches = targets & readable[:, :, None]
        sizes = matches.sum(2)  # (B, E)
        # Selected before it is summed: 0 · -inf is not 0.
        chosen = torch.where(matches, log_probabilities, log_probabilities.new_zeros(())).sum(2)
        cross_entropy = -chosen / sizes.clamp(min=1)
        if self.reduction == "released":
            entropy = sizes.clamp(min=1).log()
            return Mean((cross_entropy - entropy * (sizes > 0)).sum(), sizes.new_full((), len(targets)))
        return Mean(cross_entropy.sum(), (sizes > 0).sum())
