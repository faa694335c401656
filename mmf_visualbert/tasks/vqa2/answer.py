"""The answer to one question about an image (§4.1, Appendix A)."""

from typing import Any

import torch

from mmf_visualbert.contracts import Asked, OneAnswer, Reply, Sample, TrainedModel
from mmf_visualbert.datasets.one_answer import ranked
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vqa2.answers import unknown_index
from mmf_visualbert.tasks.vqa2.dataset import assemble_question

HEAD = "visualbert_answer"


def ask(model: TrainedModel, text: str) -> Sample:
    """`[CLS] question ? [MASK] [SEP]`, and where the mask stands."""
    assembled = assemble_question(model.text, text, [model.text.tokenizer.mask_id])
    return {**assembled.tensors(), "answer_position": torch.tensor(assembled.length - 2)}


def answer(model: TrainedModel, asked: Asked, output: Any) -> list[Reply]:
    """The most probable answers, never `<unk>`.

    Raises:
        InputError: where the checkpoint does not say what its answers are.
    """
    answers = model.head(HEAD).answers
    if not answers:
        raise InputError("the checkpoint does not say what its answers are; train it with this version, or repeat")
    probabilities = output.scores[0].softmax(-1)
    unknown = unknown_index(answers)
    if unknown is not None:
        probabilities[unknown] = 0.0
    return ranked(asked.text, probabilities, answers.__getitem__, asked.best)


ANSWER = OneAnswer(HEAD, 1, ask, answer)
