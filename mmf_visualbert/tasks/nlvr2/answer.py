"""Whether one statement is true of two images (§4.3)."""

from typing import Any

from mmf_visualbert.contracts import Asked, OneAnswer, Reply, TrainedModel
from mmf_visualbert.datasets.one_answer import ranked, whole_text
from mmf_visualbert.datasets.pairs import join_images
from mmf_visualbert.tasks.nlvr2.records import LABELS

HEAD = "visualbert_pooled"


def judge(_: TrainedModel, asked: Asked, output: Any) -> list[Reply]:
    """True and False with their probabilities."""
    return ranked(asked.text, output.scores[0].softmax(-1), LABELS.__getitem__, asked.best)


ANSWER = OneAnswer(HEAD, 2, whole_text, judge, join_images)
