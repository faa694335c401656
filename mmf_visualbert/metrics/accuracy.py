"""Plain accuracy, each sample once over all ranks. A task registers it under a name of its own."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from mmf_visualbert.metrics.gather import gather_by_id


class Accuracy:
    """Share of the samples whose highest score is at the target: NLVR2's accuracy, VCR's Q→A and QA→R."""

    required_params: ClassVar[list[str]] = ["id", "scores", "targets"]

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The accuracy, () float32; NaN where there is no sample.

        Args:
            sample_list: `id` (B,) int64, `targets` (B,) int64.
            model_output: `scores` (B, N).
        """
        (correct,) = gather_by_id(sample_list["id"], hits(sample_list, model_output))
        return correct.float().mean()


def hits(sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
    """(B,) bool, whether the highest of the `scores` (B, N) is at the target."""
    return model_output["scores"].argmax(dim=-1) == sample_list["targets"]
