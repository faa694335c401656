"""What several tasks do to answer one text: rank what is probable, fill in [MASK]."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mmf_visualbert.contracts import Asked, ChoiceQuestion, OneAnswer, OneChoice, Reply, Sample, TrainedModel
from mmf_visualbert.errors import InputError

MASK = "[MASK]"


def ranked(about: str, probabilities: Tensor, name: Callable[[int], str], best: int) -> list[Reply]:
    """The `best` most probable of N answers.

    Args:
        about: what was asked.
        probabilities: (N,).
        name: what an index stands for.
        best: how many.
    """
    values, places = probabilities.topk(min(best, len(probabilities)))
    return [Reply(about, name(place), value) for value, place in zip(values.tolist(), places.tolist(), strict=True)]


def whole_text(model: TrainedModel, text: str) -> Sample:
    """`[CLS] text [SEP]`."""
    return model.text.single(text).tensors()


def masked_text(model: TrainedModel, text: str) -> Sample:
    """`[CLS] text [SEP]`, each `[MASK]` in it masked: what a phase of pre-training has learnt (§3.3).

    Raises:
        InputError: for a text without one.
    """
    tokenizer = model.text.tokenizer
    pieces: list[int] = []
    for number, part in enumerate(text.split(MASK)):
        pieces += [tokenizer.mask_id] * bool(number) + list(tokenizer.pieces(part))
    sample: Sample = model.text.single(pieces).tensors()
    masked = sample["input_ids"] == tokenizer.mask_id
    if not masked.any():
        raise InputError(f"a model of a pre-training phase fills in words, and '{text}' has no {MASK}; write one")
    sample["masked_lm_labels"] = torch.where(masked, sample["input_ids"], -1)
    return sample


def filled(model: TrainedModel, asked: Asked, output: Any) -> list[Reply]:
    """The word pieces for each `[MASK]`."""
    return [
        reply
        for number, row in enumerate(output.masked_lm_logits.softmax(-1), start=1)
        for reply in ranked(f"{MASK} {number}", row, model.text.tokenizer.token, asked.best)
    ]


def describes(_: TrainedModel, asked: Asked, output: Any) -> list[Reply]:
    """Whether the text describes the image."""
    return ranked(asked.text, output.sentence_image_logits[0].softmax(-1), ("False", "True").__getitem__, asked.best)


def pairs(model: TrainedModel, question: ChoiceQuestion, _: Mapping[str, Any]) -> Sample:
    """`[CLS] text [SEP] candidate [SEP]` for each candidate, and the regions of the image, if there is one."""
    texts = [model.text.pair(question.text, one).tensors() for one in question.candidates]
    sample: Sample = {name: torch.stack([one[name] for one in texts]) for name in texts[0]}
    return sample if question.image is None else {**sample, **model.regions(question.image, question.where)}


PAIRS = OneChoice("visualbert_choice", pairs)
MATCH = OneAnswer("visualbert_sentence_image", 1, whole_text, describes)
FILL = OneAnswer("visualbert_masked_lm", 1, masked_text, filled)
