"""VCR's three numbers (Table 2): Q→A and QA→R of one model each, and Q→AR, both right, of two models' predictions."""

from collections.abc import Sequence
from typing import NamedTuple

from mmf_visualbert.catalog import register
from mmf_visualbert.metrics.accuracy import Accuracy

# Q→A: share of questions answered right. QA→R: share whose rationale is found, given the right answer. By chance a
# quarter.
register("metric", "visualbert_vcr_answer_accuracy")(Accuracy)
register("metric", "visualbert_vcr_rationale_accuracy")(Accuracy)


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
