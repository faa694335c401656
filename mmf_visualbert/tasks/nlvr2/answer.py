"""Whether one statement is true of two images (§4.3)."""

from mmf_visualbert.contracts import OneAnswer, Reply, Sample, TrainedModel
from mmf_visualbert.datasets.one_answer import ranked
from mmf_visualbert.datasets.pairs import join_images
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.tasks.nlvr2.records import LABELS

HEAD = "visualbert_pooled"


def judge(model: TrainedModel, text: str, sample: Sample, _: RegionRecord, best: int) -> list[Reply]:
    """True and False with their probabilities."""
    sample |= model.text.single(text).tensors()
    return ranked(text, model.run(HEAD, sample).scores[0].float().softmax(-1), LABELS.__getitem__, best)


ANSWER = OneAnswer(HEAD, 2, judge, join_images)
