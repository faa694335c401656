"""What several tasks do to answer one text: rank what is probable, fill in [MASK]."""

from collections.abc import Callable

import torch
from torch import Tensor

from mmf_visualbert.contracts import OneAnswer, Reply, Sample, TrainedModel
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord

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


def fill(model: TrainedModel, text: str, sample: Sample, _: RegionRecord, best: int) -> list[Reply]:
    """The word pieces for each `[MASK]` of a text: what a phase of pre-training has learnt (§3.3).

    Raises:
        InputError: for a text without one.
    """
    tokenizer = model.text.tokenizer
    pieces: list[int] = []
    for number, part in enumerate(text.split(MASK)):
        pieces += [tokenizer.mask_id] * bool(number) + list(tokenizer.pieces(part))
    sample |= model.text.single(pieces).tensors()
    masked = sample["input_ids"] == tokenizer.mask_id
    if not masked.any():
        raise InputError(f"a model of a pre-training phase fills in words, and '{text}' has no {MASK}; write one")
    sample["masked_lm_labels"] = torch.where(masked, sample["input_ids"], -1)
    logits = model.run("visualbert_masked_lm", sample).masked_lm_logits.float()
    return [
        reply
        for number, row in enumerate(logits.softmax(-1), start=1)
        for reply in ranked(f"{MASK} {number}", row, tokenizer.token, best)
    ]


FILL = OneAnswer("visualbert_masked_lm", 1, fill)
