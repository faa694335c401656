"""How well the pre-training objectives are met (§3.3), and plain accuracy; each sample once over all ranks."""

from collections.abc import Mapping

from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.metrics.gather import gather_by_id


class Ratio:
    """Sum of one per-sample number of the model's output over the sum of another; NaN where there is nothing to count.

    Args:
        total: name of the numerator in the model's output, (B,).
        count: name of the denominator, (B,).
    """

    def __init__(self, total: str, count: str) -> None:
        self.total = total
        self.count = count
        self.required_params = ["id", total, count]

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The ratio, () float32; `sample_list` has `id` (B,) int64, `model_output` the per-sample numbers."""
        total, count = gather_by_id(sample_list["id"], model_output[self.total], model_output[self.count])
        return (total.double().sum() / count.double().sum()).float()


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


@register("metric", "visualbert_accuracy")
class Accuracy:
    """Share of the samples whose highest score is at the target: NLVR2's accuracy, VCR's Q -> A and QA -> R."""

    required_params = ("id", "scores", "targets")

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The accuracy, () float32.

        Args:
            sample_list: `id` (B,) int64, `targets` (B,) int64.
            model_output: `scores` (B, N).
        """
        correct = model_output["scores"].argmax(dim=-1) == sample_list["targets"]
        (correct,) = gather_by_id(sample_list["id"], correct)
        return correct.float().mean()
