"""One answer of a model that was trained on a table of labels."""

from typing import Any

from mmf_visualbert.contracts import Asked, OneAnswer, Reply, TrainedModel
from mmf_visualbert.datasets.one_answer import ranked, whole_text
from mmf_visualbert.tasks.table.head import NAME


def answer(model: TrainedModel, asked: Asked, output: Any) -> list[Reply]:
    """The most probable labels, or the number that the model gives."""
    scores, names = output.scores[0], model.head(NAME).names
    if not names:
        return [Reply(asked.text, f"{float(scores[0]):g}", 1.0)]
    return ranked(asked.text, scores.softmax(-1), names.__getitem__, asked.best)


ANSWER = OneAnswer(NAME, 1, whole_text, answer)
