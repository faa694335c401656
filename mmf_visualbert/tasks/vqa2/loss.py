"""The loss over answers: cross entropy with all correct answers (Appendix A), or the authors' soft scores."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from mmf_visualbert.catalog import register
from mmf_visualbert.errors import InputError

TARGETS = ("equal", "soft")


@register("loss", "visualbert_answer_cross_entropy")
class AnswerCrossEntropy(nn.Module):
    """Cross entropy between the answers' target distribution and softmax(scores), Appendix A.

    "equal" (the paper): L = (1 / B) sum_b sum_a t_ba (-log p_ba), t_ba = 1 / |correct answers of b| for each correct
    answer a (one with a score above 0), and 0 for the others.

    "soft" (the authors' code, `KLDivLoss(batchmean)` on their soft scores s): L = (1 / B) sum_b sum_a s_ba (log s_ba -
    log p_ba), s not normalised.

    A question without a correct answer in the vocabulary adds nothing, and counts in B.

    Args:
        targets: "equal" or "soft".
    """

    def __init__(self, targets: str = "equal") -> None:
        super().__init__()
        if targets not in TARGETS:
            raise InputError(f"targets is '{targets}', but it has to be one of {', '.join(TARGETS)}")
        self.targets = targets

    def forward(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """Reads `targets` (B, N) float, scores in 0..1, and `scores` (B, N) logits. Gives ()."""
        scores = sample_list["targets"].float()
        log_probabilities = functional.log_softmax(model_output["scores"].float(), dim=-1)
        if self.targets == "soft":
            return functional.kl_div(log_probabilities, scores, reduction="batchmean")
        correct = (scores > 0).float()
        target = correct / correct.sum(dim=-1, keepdim=True).clamp(min=1)
        return -(target * log_probabilities).sum(dim=-1).mean()
