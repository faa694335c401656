"""The loss of the tasks that choose one of a few: true or false (NLVR2), choices (VCR)."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from mmf_visualbert.catalog import register


@register("loss", "visualbert_cross_entropy")
class CrossEntropy(nn.Module):
    """L = -(1 / B) sum_b log softmax(scores_b)[target_b]: NLVR2's true or false (§4.3), VCR's four choices (§4.2)."""

    def forward(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """Reads `targets` (B,) int64 and `scores` (B, N) logits. Gives ()."""
        return functional.cross_entropy(model_output["scores"].float(), sample_list["targets"])
