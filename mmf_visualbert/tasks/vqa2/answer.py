"""The answer to one question about an image (§4.1, Appendix A)."""

import torch

from mmf_visualbert.contracts import OneAnswer, Reply, Sample, TrainedModel
from mmf_visualbert.datasets.one_answer import ranked
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.tasks.vqa2.answers import unknown_index
from mmf_visualbert.tasks.vqa2.dataset import assemble_question

HEAD = "visualbert_answer"


def answer(model: TrainedModel, text: str, sample: Sample, _: RegionRecord, best: int) -> list[Reply]:
    """The most probable answers, never `<unk>`.

    Raises:
        InputError: where the checkpoint does not say what its answers are.
    """
    assembled = assemble_question(model.text, text, [model.text.tokenizer.mask_id])
    sample |= {**assembled.tensors(), "answer_position": torch.tensor(assembled.length - 2)}
    answers = model.head(HEAD).answers
    if not answers:
        raise InputError("the checkpoint does not say what its answers are; train it with this version, or repeat")
    probabilities = model.run(HEAD, sample).scores[0].float().softmax(-1)
    unknown = unknown_index(answers)
    if unknown is not None:
        probabilities[unknown] = 0.0
    return ranked(text, probabilities, answers.__getitem__, best)


ANSWER = OneAnswer(HEAD, 1, answer)
