"""Official accuracy of VQA 2.0 (§4.1; Goyal et al. 2017), overall and by type of answer.

The dataset gives `targets` in evaluation splits: for each answer of the vocabulary, the accuracy that the official
script would give it. So the accuracy of a prediction is looked up, sample by sample, in the head; only one number a
sample travels to the metric (the scores of the whole of val would take 2.7 GB).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.errors import InputError
from mmf_visualbert.metrics.gather import gather_by_id
from mmf_visualbert.tasks.vqa2.answers import ANSWER_TYPES


def best_answer(scores: Tensor, unknown: int | None = None) -> Tensor:
    """(B,) int64, the answer with the highest score (B, N), passing over the place of `<unk>`, if there is one."""
    if unknown is None:
        return scores.argmax(dim=-1)
    scores = scores.clone()
    scores[:, unknown] = -torch.inf
    return scores.argmax(dim=-1)


def answer_accuracy(scores: Tensor, targets: Tensor, unknown: int | None = None) -> Tensor:
    """Official accuracy (B,) float32 of the best answer of each sample.

    Args:
        scores: (B, N), any increasing function of probability.
        targets: (B, N) float, official accuracy of each answer.
        unknown: place of `<unk>` in the vocabulary (`processors.answers.unknown_index`); it is never predicted.
    """
    return targets.gather(1, best_answer(scores, unknown).unsqueeze(1)).squeeze(1).float()


class VQAAccuracy:
    """Mean of the samples' official accuracies, each sample once over all ranks; NaN where there is none.

    Args:
        answer_type: only samples of this one of `ANSWER_TYPES`; None: all.
    """

    def __init__(self, answer_type: str | None = None) -> None:
        self.answer_type = answer_type
        self.required_params = ["id", "answer_accuracy"] + (["answer_types"] if answer_type else [])

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The accuracy, () float32 from 0 to 1.

        Args:
            sample_list: `id` (B,) int64; `answer_types` (B,) int64, places in `ANSWER_TYPES`.
            model_output: `answer_accuracy` (B,) float, what the function of that name returns.

        Raises:
            InputError: where the model's output has no `answer_accuracy`.
        """
        if "answer_accuracy" not in model_output:
            raise InputError(
                "VQA accuracy finds no `answer_accuracy` in the model's output; give the model the head "
                "visualbert_answer, and the split annotations"
            )
        ids, accuracy = sample_list["id"], model_output["answer_accuracy"]
        if self.answer_type is None:
            (accuracy,) = gather_by_id(ids, accuracy)
        else:
            accuracy, types = gather_by_id(ids, accuracy, sample_list["answer_types"])
            accuracy = accuracy[types == ANSWER_TYPES.index(self.answer_type)]
        return accuracy.float().mean()


@register("metric", "visualbert_vqa_accuracy")
def vqa_accuracy() -> VQAAccuracy:
    """Official accuracy over all questions."""
    return VQAAccuracy()


@register("metric", "visualbert_vqa_accuracy_yes_no")
def vqa_accuracy_yes_no() -> VQAAccuracy:
    """Official accuracy over the questions whose answer is of type yes/no."""
    return VQAAccuracy("yes/no")


@register("metric", "visualbert_vqa_accuracy_number")
def vqa_accuracy_number() -> VQAAccuracy:
    """Official accuracy over the questions whose answer is a number."""
    return VQAAccuracy("number")


@register("metric", "visualbert_vqa_accuracy_other")
def vqa_accuracy_other() -> VQAAccuracy:
    """Official accuracy over all other questions."""
    return VQAAccuracy("other")
