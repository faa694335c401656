"""Choices among candidates: what users give as questions, and which candidate goes with each."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mmf_visualbert.contracts import ChoiceQuestion, OneChoice, Reply, Sample
from mmf_visualbert.datasets.one_answer import ranked
from mmf_visualbert.errors import InputError
from mmf_visualbert.runs import LoadedModel

TEXTS, SCENES = 32, 4  # that are computed together


def questions_of(texts: Any, candidates: Sequence[Any], images: Any) -> list[ChoiceQuestion]:
    """One question, or as many as there are texts.

    Args:
        texts: a string, or B texts.
        candidates: of the text, or of each of B.
        images: of the text, or of each of B; None where there are none.

    Raises:
        InputError: for other numbers of them, or fewer than two candidates.
    """
    one = isinstance(texts, str)
    given = [texts] if one else list(texts)
    sets = [candidates] if one else list(candidates)
    if images is None:
        pictures = [None] * len(given)
    else:
        pictures = [images] if one else list(images)
    if not len(given) == len(sets) == len(pictures):
        raise InputError(
            f"{len(sets)} lists of candidates and {len(pictures)} images are given for {len(given)} texts; give one of "
            "each for each text"
        )
    for each in sets:
        if isinstance(each, str) or len(each) < 2:
            raise InputError("one candidate leaves no choice; give a list of two or more for each text")
    return [
        ChoiceQuestion(text, list(each), image, f"image {number}")
        for number, (text, each, image) in enumerate(zip(given, sets, pictures, strict=True), start=1)
    ]


def choose(
    model: LoadedModel, way: OneChoice, questions: Sequence[ChoiceQuestion], settings: Mapping[str, Any]
) -> list[list[Reply]]:
    """The candidates of each question, the most probable first.

    Raises:
        InputError: for another number of candidates than the model was trained with, or what `way.ask` refuses.
    """
    samples: list[Sample] = []
    for question in questions:
        if way.candidates is not None and len(question.candidates) != way.candidates:
            raise InputError(
                f"{len(question.candidates)} candidates are given, and this model was trained to choose among "
                f"{way.candidates}; give so many"
            )
        samples.append({**way.ask(model, question, settings), "id": torch.tensor(0)})
    outputs = model.run(way.head, samples, SCENES if way.scenes else TEXTS)
    return [
        ranked(
            spelt(question.text),
            output.scores[0].softmax(-1),
            [spelt(one) for one in question.candidates].__getitem__,
            len(question.candidates),
        )
        for question, output in zip(questions, outputs, strict=True)
    ]


def spelt(text: Any) -> str:
    """A text as one string: words and tags as they would be written in it."""
    return text if isinstance(text, str) else " ".join(map(str, text))
