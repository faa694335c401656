"""The regions that the phrases of one caption refer to (§4.4); phrases stand in [brackets]."""

import re
from typing import Any

import torch

from mmf_visualbert.contracts import Asked, OneAnswer, Reply, Sample, TrainedModel
from mmf_visualbert.datasets.one_answer import ranked
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.tasks.flickr30k.annotations import Phrase
from mmf_visualbert.tasks.flickr30k.dataset import assemble_caption

HEAD = "visualbert_phrase_grounding"
PHRASE = re.compile(r"\[([^\[\]]+)\]")


def ask(model: TrainedModel, text: str) -> Sample:
    """The caption without its brackets, and where each phrase is read.

    Raises:
        InputError: for a text without brackets, or one whose phrase stands beyond the cut.
    """
    words, phrases = bracketed(text)
    assembled, positions = assemble_caption(model.text, words, phrases)
    for phrase, position in zip(phrases, positions, strict=True):
        if position < 0:
            raise InputError(f"the phrase '{phrase.text(words)}' stands beyond the cut; shorten the text")
    masks = torch.ones(len(phrases), dtype=torch.bool)
    return {**assembled.tensors(), "phrase_positions": torch.tensor(positions), "phrase_mask": masks}


def ground(model: TrainedModel, asked: Asked, output: Any) -> list[Reply]:
    """The most probable regions of each phrase, with their boxes."""
    words, phrases = bracketed(asked.text)
    scores = output.scores[0].view(len(phrases), -1).exp()
    count = min(len(asked.image.features), model.regions.max_regions)
    return [
        with_box(reply, asked.image)
        for phrase, row in zip(phrases, scores, strict=True)
        for reply in ranked(phrase.text(words), row[:count], str, asked.best)
    ]


def with_box(reply: Reply, image: RegionRecord) -> Reply:
    """The reply with the box of its region, in pixels, where the image's record has boxes."""
    if image.boxes is None:
        return reply
    return reply._replace(box=tuple(round(float(x), 1) for x in image.boxes[int(reply.answer)]))


def bracketed(text: str) -> tuple[tuple[str, ...], tuple[Phrase, ...]]:
    """Words and phrases of `[A man] in [a red shirt] waits.`

    Raises:
        InputError: where nothing stands in brackets, or a bracket is left open.
    """
    words: list[str] = []
    phrases: list[Phrase] = []
    for number, part in enumerate(PHRASE.split(text)):
        own = part.split()
        if number % 2 and own:
            phrases.append(Phrase(0, (), len(words), len(words) + len(own) - 1))
        elif "[" in part or "]" in part:
            raise InputError(f"a bracket of '{text}' has no partner; write phrases as [a red shirt]")
        words += own
    if not phrases:
        raise InputError(f"'{text}' marks no phrase; write it in brackets, as in [a man] in [a red shirt]")
    return tuple(words), tuple(phrases)


ANSWER = OneAnswer(HEAD, 1, ask, ground)
