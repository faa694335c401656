"""Five captions a scene, in COCO's official json and in Karpathy's split file.

The captions of one scene speak of different things in different ways, and use the words that the tasks need later:
colours, shapes, sizes, numbers, relations.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmf_visualbert.sampleworld.images import Picture
from mmf_visualbert.sampleworld.phrases import Phrase, groups, names
from mmf_visualbert.sampleworld.scene import Scene, Thing
from mmf_visualbert.sampleworld.words import (
    COLORS,
    NUMBERS,
    SHAPES,
    counted,
    plural,
    relation_words,
    sentence,
    with_article,
)

PER_SCENE = 5


def captions_of(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Five different captions that are true of the scene."""
    called = {thing: several for thing, several in names(scene).items() if several}
    forms: list[Callable[[], str]] = [
        lambda: _related(scene, called, rng),
        lambda: _described(called, rng),
        lambda: _placed(scene, called, rng),
        lambda: _listed(scene, rng),
        lambda: _counted(scene, rng),
        lambda: _absent(scene, rng),
    ]
    order = rng.permutation(5).tolist()
    if rng.uniform() < 0.25:  # what is not there can hardly be guessed, so such a caption teaches little
        order[0] = 5
    order += [*rng.integers(0, 5, 20).tolist(), *[4, 5] * 20]
    found: list[str] = []
    for index in order:
        caption = forms[index]()
        if caption and caption not in found:
            found.append(caption)
        if len(found) == PER_SCENE:
            break
    return found


def _pick(several: Sequence[Any], rng: np.random.Generator) -> Any:
    return several[int(rng.integers(len(several)))]


def _related(scene: Scene, called: dict[Thing, list[Phrase]], rng: np.random.Generator) -> str:
    """`A red star is to the left of a large blue circle.`; empty where no two things are told apart."""
    if len(called) < 2:
        return ""
    first, second = (list(called)[index] for index in rng.permutation(len(called))[:2])
    relations = scene.relations(first, second)
    if not relations:
        return ""
    subject, other = (_pick(called[thing], rng).counted for thing in (first, second))
    verb = _pick(("", "is "), rng)
    return sentence(f"{subject} {verb}{relation_words(_pick(relations, rng))} {other}")


def _described(called: dict[Thing, list[Phrase]], rng: np.random.Generator) -> str:
    """`The large star is red.` of one or two things that can be named without their colour."""
    parts = [
        f"the {phrase.words} is {thing.color}"
        for thing, several in called.items()
        for phrase in several
        if thing.color not in phrase.words.split()
    ]
    if not parts:
        return ""
    chosen = [parts[index] for index in rng.permutation(len(parts))[: int(rng.integers(1, 3))]]
    return sentence(" and ".join(chosen))


def _placed(scene: Scene, called: dict[Thing, list[Phrase]], rng: np.random.Generator) -> str:
    """`There is a red star on the left.`"""
    aside = [thing for thing in called if abs(thing.x / scene.width - 0.5) > 0.1]
    if not aside:
        return ""
    thing = _pick(aside, rng)
    side = "left" if thing.x < scene.width / 2 else "right"
    return sentence(f"there is {_pick(called[thing], rng).counted} on the {side}")


def _listed(scene: Scene, rng: np.random.Generator) -> str:
    """`Two red stars, a circle and a blue cross.`: whole kinds, so that the numbers are true."""
    kinds = sorted({(thing.color, thing.shape) for thing in scene.things})
    chosen = [kinds[index] for index in rng.permutation(len(kinds))[: int(rng.integers(2, 4))]]
    parts = [counted(len(scene.those(color, shape)), f"{color} {shape}") for color, shape in chosen]
    if len(parts) == 1:
        return sentence(f"a picture of {parts[0]}")
    return sentence(", ".join(parts[:-1]) + " and " + parts[-1])


def _counted(scene: Scene, rng: np.random.Generator) -> str:
    """`There are three stars.`"""
    several = groups(scene)
    if several and rng.uniform() < 0.7:
        return sentence(f"there are {_pick(several, rng).counted}")
    color = _pick(sorted({thing.color for thing in scene.things}), rng)
    number = len(scene.those(color=color))
    words = with_article(f"{color} object") if number == 1 else f"{NUMBERS[number]} {color} objects"
    return sentence(f"there {'is' if number == 1 else 'are'} {words}")


def _absent(scene: Scene, rng: np.random.Generator) -> str:
    """`There are no stars.` or `There is no red star.`"""
    missing = [shape for shape in SHAPES if not scene.those(shape=shape)]
    if missing and rng.uniform() < 0.5:
        return sentence(f"there are no {plural(_pick(missing, rng))}")
    pairs = [(color, shape) for color in COLORS for shape in SHAPES if not scene.those(color, shape)]
    color, shape = _pick(pairs, rng)
    return sentence(f"there is no {color} {shape}")


def coco_files(
    pictures: Mapping[str, Sequence[Picture]], captions: dict[str, list[list[str]]]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The official json of each split (`train2014`, `val2014`) and Karpathy's `dataset_coco.json` over both."""
    official: dict[str, dict[str, Any]] = {}
    karpathy: list[dict[str, Any]] = []
    number = 1
    for split, several in pictures.items():
        annotations = []
        for position, picture in enumerate(several):
            texts = captions[split][position]
            ids = list(range(number, number + len(texts)))
            number += len(texts)
            annotations += [
                {"image_id": picture.number, "id": caption_id, "caption": text}
                for caption_id, text in zip(ids, texts, strict=True)
            ]
            karpathy.append(_karpathy_record(picture, split, position, len(karpathy), ids, texts))
        official[split] = {
            "info": {
                "description": "Generated sample world in the format of COCO captions",
                "url": "",
                "version": "1.0",
                "year": 2014,
                "contributor": "mmf_visualbert",
                "date_created": "2014/01/01",
            },
            "images": [_image_record(picture) for picture in several],
            "licenses": [{"url": "", "id": 1, "name": "generated"}],
            "annotations": annotations,
        }
    return official, {"images": karpathy, "dataset": "coco"}


def _image_record(picture: Picture) -> dict[str, Any]:
    return {
        "license": 1,
        "file_name": picture.file_name,
        "coco_url": "",
        "height": picture.height,
        "width": picture.width,
        "date_captured": "2014-01-01 00:00:00",
        "flickr_url": "",
        "id": picture.number,
    }


def karpathy_split(split: str, position: int) -> str:
    """Karpathy's split: train2014 trains; val2014 is shared out among val, test and restval (trains too)."""
    return "train" if split.startswith("train") else ("val", "test", "restval")[position % 3]


def _karpathy_record(
    picture: Picture, split: str, position: int, number: int, ids: list[int], texts: list[str]
) -> dict[str, Any]:
    sentences = [
        {
            "tokens": text.lower().replace(",", "").rstrip(".").split(),
            "raw": text,
            "imgid": number,
            "sentid": caption_id,
        }
        for caption_id, text in zip(ids, texts, strict=True)
    ]
    return {
        "filepath": split,
        "sentids": ids,
        "filename": picture.file_name,
        "imgid": number,
        "split": karpathy_split(split, position),
        "sentences": sentences,
        "cocoid": picture.number,
    }
