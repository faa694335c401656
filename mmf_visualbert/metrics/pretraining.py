"""How well the pre-training objectives are met (§3.3)."""

from mmf_visualbert.catalog import register
from mmf_visualbert.metrics.ratio import Ratio


@register("metric", "visualbert_masked_lm_accuracy")
def masked_lm_accuracy() -> Ratio:
    """Share of the masked word pieces that are predicted."""
    return Ratio("masked_lm_correct", "masked_lm_count")


@register("metric", "visualbert_masked_lm_loss")
def masked_lm_loss() -> Ratio:
    """Mean of -log p over all masked word pieces of the split (not a mean of means of batches)."""
    return Ratio("masked_lm_loss_sum", "masked_lm_count")


@register("metric", "visualbert_sentence_image_accuracy")
def sentence_image_accuracy() -> Ratio:
    """Share of the texts of which it is told rightly whether they describe the image."""
    return Ratio("sentence_image_correct", "sentence_image_count")


@register("metric", "visualbert_sentence_image_loss")
def sentence_image_loss() -> Ratio:
    """Mean of -log p of whether the text describes the image."""
    return Ratio("sentence_image_loss_sum", "sentence_image_count")
