"""One answer of a model that was trained on a table of labels."""

from mmf_visualbert.contracts import OneAnswer, Reply, Sample, TrainedModel
from mmf_visualbert.datasets.one_answer import ranked
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.tasks.table.head import NAME


def answer(model: TrainedModel, text: str, sample: Sample, _: RegionRecord, best: int) -> list[Reply]:
    """The most probable labels, or the number that the model gives."""
    sample |= model.text.single(text).tensors()
    scores, names = model.run(NAME, sample).scores[0].float(), model.head(NAME).names
    if not names:
        return [Reply(text, f"{float(scores[0]):g}", 1.0)]
    return ranked(text, scores.softmax(-1), names.__getitem__, best)


ANSWER = OneAnswer(NAME, 1, answer)
