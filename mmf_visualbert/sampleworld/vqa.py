"""VQA 2.0 over the scenes: balanced questions, ten annotators who partly disagree, official json.

A question is taken in pairs, as in VQA 2.0: the same words over two pictures that answer differently (Goyal et al.,
2017), so that the words alone tell next to nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from mmf_visualbert.sampleworld.scene import Scene, Thing
from mmf_visualbert.sampleworld.words import COLORS, NUMBERS, SHAPES, SIZES, plural, relation_words, with_article


class Kind(NamedTuple):
    """One family of questions: its share of all, and what the official files say of it."""

    share: float
    question_type: str
    answer_type: str


KINDS: dict[str, Kind] = {
    "presence": Kind(0.25, "is there a", "yes/no"),
    "attribute": Kind(0.14, "is the", "yes/no"),
    "relation": Kind(0.04, "is the", "yes/no"),
    "color": Kind(0.25, "what color is the", "other"),
    "shape": Kind(0.16, "what", "other"),
    "side": Kind(0.08, "which", "other"),
    "count": Kind(0.08, "how many", "number"),
}


class Question(NamedTuple):
    """A question over the scene number `scene`, with the answer that is true of it."""

    scene: int
    kind: str
    text: str
    answer: str


def askable(scene: Scene) -> Iterator[tuple[str, str, str]]:
    """Every (kind, text, answer) that makes sense of the scene."""
    for ask in (_presence, _attribute, _color, _shape, _side, _relation, _count):
        kind = ask.__name__.removeprefix("_")
        for text, answer in ask(scene):
            yield kind, text, answer


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _presence(scene: Scene) -> Iterator[tuple[str, str]]:
    for shape in SHAPES:
        yield f"Are there any {plural(shape)}?", _yes(bool(scene.those(shape=shape)))
        for color in COLORS:
            yield f"Is there {with_article(f'{color} {shape}')}?", _yes(bool(scene.those(color, shape)))


def _named(scene: Scene, words: Sequence[str], key: str) -> Iterator[tuple[str, Thing]]:
    """The things that one word (`circle`) tells apart, or a size and that word (`large circle`)."""
    for word in words:
        thing = scene.only(**{key: word})
        if thing:
            yield word, thing
            continue
        for size in SIZES:
            thing = scene.only(size=size, **{key: word})
            if thing:
                yield f"{size} {word}", thing


def _attribute(scene: Scene) -> Iterator[tuple[str, str]]:
    for name, thing in _named(scene, SHAPES, "shape"):
        for color in COLORS:
            yield f"Is the {name} {color}?", _yes(thing.color == color)


def _color(scene: Scene) -> Iterator[tuple[str, str]]:
    for name, thing in _named(scene, SHAPES, "shape"):
        yield f"What color is the {name}?", thing.color


def _shape(scene: Scene) -> Iterator[tuple[str, str]]:
    for name, thing in _named(scene, tuple(COLORS), "color"):
        yield f"What shape is the {name} object?", thing.shape


def _side(scene: Scene) -> Iterator[tuple[str, str]]:
    for name, thing in _named(scene, SHAPES, "shape"):
        distance = thing.x / scene.width - 0.5
        if abs(distance) > 0.1:
            yield f"Which side of the picture is the {name} on?", "left" if distance < 0 else "right"


def _relation(scene: Scene) -> Iterator[tuple[str, str]]:
    alone = [thing for shape in SHAPES if (thing := scene.only(shape=shape))]
    for first, second in permutations(alone, 2):
        for relation in ("left of", "above"):
            truth = first.is_to(relation, second)
            if truth is not None:
                yield f"Is the {first.shape} {relation_words(relation)} the {second.shape}?", _yes(truth)


def _count(scene: Scene) -> Iterator[tuple[str, str]]:
    for shape in SHAPES:
        yield f"How many {plural(shape)} are there?", str(len(scene.those(shape=shape)))
    for color in COLORS:
        yield f"How many {color} objects are there?", str(len(scene.those(color=color)))


def ask(scenes: Sequence[Scene], per_scene: float, rng: np.random.Generator) -> list[Question]:
    """About `per_scene` questions a scene, in balanced pairs, sorted by scene.

    Within one text the answers are as equally frequent as the scenes allow; no scene gets over 1.5 times its share.
    """
    pool: dict[str, dict[str, dict[str, list[int]]]] = {kind: defaultdict(lambda: defaultdict(list)) for kind in KINDS}
    for index in rng.permutation(len(scenes)).tolist():
        for kind, text, answer in askable(scenes[index]):
            pool[kind][text][answer].append(index)
    load = [1.5 * per_scene] * len(scenes)
    asked: list[Question] = []
    for kind, texts in pool.items():
        asked += _in_pairs(kind, texts, round(KINDS[kind].share * per_scene * len(scenes)), load, rng)
    return sorted(asked, key=lambda question: (question.scene, question.text))


def _in_pairs(
    kind: str, texts: dict[str, dict[str, list[int]]], wanted: int, load: list[float], rng: np.random.Generator
) -> list[Question]:
    """Takes pairs of scenes text by text, until there are `wanted` questions or nothing is left to pair."""
    asked: list[Question] = []
    order = [sorted(texts)[index] for index in rng.permutation(len(texts))]
    used: dict[str, Counter[str]] = {text: Counter() for text in order}
    while order and len(asked) < wanted:
        for text in list(order):
            pair = _pair(texts[text], used[text], load)
            if pair is None:
                order.remove(text)
                continue
            for answer in pair:
                scene = _least_asked(texts[text][answer], load)
                load[scene] -= 1
                used[text][answer] += 1
                asked.append(Question(scene, kind, text, answer))
            if len(asked) >= wanted:
                break
    return asked


def _pair(answers: dict[str, list[int]], used: Counter[str], load: list[float]) -> list[str] | None:
    """The two answers given least so far that still have a scene with room; None where there are not two."""
    for answer in list(answers):
        answers[answer] = [scene for scene in answers[answer] if load[scene] >= 1]
    open_answers = sorted((answer for answer in answers if answers[answer]), key=lambda answer: (used[answer], answer))
    return open_answers[:2] if len(open_answers) >= 2 else None


def _least_asked(scenes: list[int], load: list[float]) -> int:
    """Takes out of `scenes` one that has the most room left, among the last sixty."""
    last = range(max(len(scenes) - 60, 0), len(scenes))
    return scenes.pop(max(last, key=lambda position: load[scenes[position]]))


MISTAKEN: dict[str, tuple[str, ...]] = {
    "red": ("orange", "maroon"),
    "orange": ("red", "yellow"),
    "yellow": ("gold", "orange"),
    "green": ("dark green", "blue"),
    "blue": ("dark blue", "purple"),
    "purple": ("blue", "pink"),
    "circle": ("ball", "dot"),
    "square": ("box", "rectangle"),
    "triangle": ("pyramid", "cone"),
    "star": ("cross", "5 point star"),
    "cross": ("plus", "star"),
    "yes": ("no", "i think so"),
    "no": ("yes", "i don't think so"),
    "left": ("right", "left side"),
    "right": ("left", "right side"),
}
"""Answer -> what an annotator who disagrees says instead."""


def annotate(answer: str, rng: np.random.Generator) -> list[str]:
    """The answers of ten annotators; at least four give the true one, so a perfect model scores 100 %."""
    disagree = int(rng.choice([0, 1, 2, 3, 5, 6], p=[0.55, 0.17, 0.12, 0.08, 0.05, 0.03]))
    others: tuple[str, ...]
    if answer.isdigit():
        others = (str(int(answer) + 1), str(max(int(answer) - 1, 0) if answer != "0" else 2))
    else:
        others = MISTAKEN[answer]
    given = [others[int(rng.uniform() < 0.4)] for _ in range(disagree)]
    given += [_spelling(answer, rng) for _ in range(10 - disagree)]
    return [given[index] for index in rng.permutation(10)]


def _spelling(answer: str, rng: np.random.Generator) -> str:
    """Now and then the answer in a form that the official normalisation brings back."""
    if rng.uniform() > 0.05:
        return answer
    if answer.isdigit():
        return NUMBERS[int(answer)]
    forms = (f"{answer}.", f"the {answer}" if answer in ("left", "right") else f"{answer}!")
    return with_article(answer) if answer in SHAPES else forms[int(rng.integers(2))]


def question_records(questions: Sequence[Question], image_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The official `questions` list; a question's id is its image's id and a running number of three digits."""
    seen: Counter[int] = Counter()
    records = []
    for question in questions:
        image_id = image_ids[question.scene]
        records.append(
            {
                "image_id": image_id,
                "question": question.text,
                "question_id": image_id * 1000 + seen[image_id],
            }
        )
        seen[image_id] += 1
    return records


def annotation_records(
    questions: Sequence[Question], records: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """The official `annotations` list that belongs to `records`."""
    annotations = []
    for question, record in zip(questions, records, strict=True):
        given = annotate(question.answer, rng)
        sure = rng.choice(["yes", "maybe", "no"], size=10, p=[0.85, 0.12, 0.03]).tolist()
        kind = KINDS[question.kind]
        answers = [
            {"answer": answer, "answer_confidence": confidence, "answer_id": number}
            for number, (answer, confidence) in enumerate(zip(given, sure, strict=True), start=1)
        ]
        annotations.append(
            {
                "question_type": kind.question_type,
                "multiple_choice_answer": question.answer,
                "answers": answers,
                "image_id": record["image_id"],
                "answer_type": kind.answer_type,
                "question_id": record["question_id"],
            }
        )
    return annotations


def official(split: str, records: Sequence[dict[str, Any]], key: str) -> dict[str, Any]:
    """The whole official json around the list `records`; `key` is `questions` or `annotations`."""
    info = {
        "description": "Generated sample world in the format of VQA 2.0",
        "url": "",
        "version": "2.0",
        "year": 2017,
        "contributor": "mmf_visualbert",
        "date_created": "2017-01-01 00:00:00",
    }
    kinds = {"task_type": "Open-Ended"} if key == "questions" else {}
    licence = {"url": "", "name": "generated"}
    return {"info": info, **kinds, "data_type": "mscoco", "license": licence, "data_subtype": split, key: list(records)}
