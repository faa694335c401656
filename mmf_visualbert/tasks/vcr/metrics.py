"""VCR's three numbers (Table 2): Q→A and QA→R of one model each, and Q→AR, both right, of two models' predictions."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.metrics.gather import gather_by_id


def choice_accuracy(sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
    """Share of questions whose right choice has the highest score, exact over ranks: () float.

    Reads `id` (B,), `targets` (B,) int64 and `scores` (B, 4).
    """
    hits = model_output["scores"].argmax(dim=-1) == sample_list["targets"]
    return gather_by_id(sample_list["id"], hits)[0].float().mean()


@register("metric", "visualbert_vcr_answer_accuracy")
class AnswerAccuracy:
    """Q→A: share of questions answered right; chance is a quarter."""

    required_params: ClassVar[list[str]] = ["id", "scores", "targets"]

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """See `choice_accuracy`."""
        return choice_accuracy(sample_list, model_output)


@register("metric", "visualbert_vcr_rationale_accuracy")
class RationaleAccuracy:
    """QA→R: share of questions whose rationale is found, given the right answer; chance is a quarter."""

    required_params: ClassVar[list[str]] = ["id", "scores", "targets"]

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """See `choice_accuracy`."""
        return choice_accuracy(sample_list, model_output)


class JointAccuracy(NamedTuple):
    """Shares of questions: `answer` right (Q→A), `rationale` right (QA→R), `both` right (Q→AR)."""

    answer: float
    rationale: float
    both: float


def joint_accuracy(
    answers: Sequence[Sequence[float]],
    rationales: Sequence[Sequence[float]],
    answer_labels: Sequence[int],
    rationale_labels: Sequence[int],
) -> JointAccuracy:
    """Q→A, QA→R and Q→AR of N questions, as R2C's eval_q2ar.py.

    A question counts for Q→AR where its answer is right and its rationale, given the right answer, is right too.

    Args:
        answers: scores of the 4 answers, N rows.
        rationales: scores of the 4 rationales given the right answer, N rows.
        answer_labels, rationale_labels: N indices.
    """
    right_answers = [_best(row) == label for row, label in zip(answers, answer_labels, strict=True)]
    right_rationales = [_best(row) == label for row, label in zip(rationales, rationale_labels, strict=True)]
    both = [answer and rationale for answer, rationale in zip(right_answers, right_rationales, strict=True)]
    return JointAccuracy(*(sum(hits) / max(len(hits), 1) for hits in (right_answers, right_rationales, both)))


def _best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)
