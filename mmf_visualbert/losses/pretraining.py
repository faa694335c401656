"""Losses of the two pre-training objectives, §3.3. The paper adds them with equal weight."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import CountedLoss, Mean
from mmf_visualbert.modules.on_host import on_cpu, places


@register("loss", "visualbert_masked_lm")
class MaskedLM(CountedLoss):
    """L = -(1 / M) sum over the M masked word pieces of the batch of log p(word piece), §3.3 objective 1.

    0, with a gradient of 0, for a batch without a masked word piece. M is that of the whole batch, on however many
    processes it is; the authors' code takes the mean over GPUs of the means over each one's own.
    """

    def mean(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Mean:
        """Reads `masked_lm_labels` (..., T), -1 where not masked, and `masked_lm_logits` (M, V)."""
        labels = sample_list["masked_lm_labels"]
        gold = labels[places(on_cpu(sample_list, "masked_lm_labels") != -1, labels.device)]
        logits = model_output["masked_lm_logits"].float()
        return Mean(functional.cross_entropy(logits, gold, reduction="sum"), gold.new_full((), gold.numel()))

    def forward(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch, ()."""
        return self.mean(sample_list, model_output).value


@register("loss", "visualbert_sentence_image")
class SentenceImage(nn.Module):
    """L = -(1 / B) sum_b log p(label_b), label 1 = the whole text describes the image, §3.3 objective 2."""

    def forward(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """Reads `sentence_image_labels` (B,) or (B, C) and `sentence_image_logits` (B * C, 2). Gives ()."""
        labels = sample_list["sentence_image_labels"].reshape(-1)
        return functional.cross_entropy(model_output["sentence_image_logits"].float(), labels)
