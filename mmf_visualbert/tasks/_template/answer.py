"""One answer, for `visualbert predict`."""

from typing import Any

from mmf_visualbert.contracts import Asked, OneAnswer, Reply, TrainedModel
from mmf_visualbert.datasets.one_answer import ranked, whole_text

from .head import NAME
from .records import LABELS


def answer(_: TrainedModel, asked: Asked, output: Any) -> list[Reply]:
    """The labels with their probabilities."""
    return ranked(asked.text, output.scores[0].softmax(-1), LABELS.__getitem__, asked.best)


ANSWER = OneAnswer(NAME, images=1, ask=whole_text, tell=answer)
