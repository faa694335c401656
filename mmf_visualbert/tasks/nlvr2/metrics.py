"""NLVR2's two official numbers (eval/metrics.py of lil-lab/nlvr), exact over ranks."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.metrics.accuracy import Accuracy, hits
from mmf_visualbert.metrics.gather import gather_by_id

register("metric", "visualbert_nlvr2_accuracy")(Accuracy)


@register("metric", "visualbert_nlvr2_consistency")
class NLVR2Consistency:
    """Share of sentences judged right on every pair of images that they come with."""

    required_params: ClassVar[list[str]] = ["id", "group", "scores", "targets"]

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """Reads `id` (B,), `group` (B,) int64, `targets` (B,) int64 and `scores` (B, 2). Gives () float."""
        correct, group = gather_by_id(sample_list["id"], hits(sample_list, model_output), sample_list["group"])
        groups, member_of = group.unique(return_inverse=True)
        wrong = torch.zeros(len(groups), dtype=torch.int64, device=group.device)
        wrong.index_add_(0, member_of, (~correct).long())
        return (wrong == 0).float().mean()
