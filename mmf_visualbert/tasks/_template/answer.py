"""One answer, for `visualbert predict`."""

from mmf_visualbert.contracts import OneAnswer, Reply, Sample, TrainedModel
from mmf_visualbert.datasets.one_answer import ranked
from mmf_visualbert.features.records import RegionRecord

from .head import NAME
from .records import LABELS


def answer(model: TrainedModel, text: str, sample: Sample, _: RegionRecord, best: int) -> list[Reply]:
    """The labels with their probabilities."""
    sample |= model.text.single(text).tensors()
    return ranked(text, model.run(NAME, sample).scores[0].float().softmax(-1), LABELS.__getitem__, best)


ANSWER = OneAnswer(NAME, images=1, reply=answer)
