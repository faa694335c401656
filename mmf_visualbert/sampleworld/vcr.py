"""VCR over the frames: questions, four answers and four rationales with tags, in the official json lines.

Nothing but the picture tells the right choice: what a question asks for is drawn independently of everything else, the
wrong choices are other values of the same thing, and a rationale speaks of something that question and answer leave
open. So text alone is right one time in four.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from mmf_visualbert.sampleworld.frames import (
    GROUNDS,
    HEIGHT,
    ITEMS,
    SHIRTS,
    TROUSERS,
    WIDTH,
    Box,
    Frame,
    Person,
    Polygon,
)

Token = str | list[int]
Text = list[Token]
CHOICES = 4
PEOPLE = ("Casey", "Riley", "Jessie", "Jackie")
"""The first names that VCR's readers give people."""


class Item(NamedTuple):
    """One question about a frame. `answers[right_answer]` and `rationales[right_rationale]` are the right ones."""

    kind: str
    question: Text
    answers: list[Text]
    right_answer: int
    rationales: list[Text]
    right_rationale: int


class Cast(NamedTuple):
    """The objects of a frame in the order of its metadata: people first, then things."""

    frame: Frame

    @property
    def names(self) -> list[str]:
        """VCR's class of each object."""
        return ["person"] * len(self.frame.people) + [item.name for item in self.frame.items]

    def tag(self, name: str) -> list[int]:
        """The tag of the thing with this name."""
        return [self.names.index(name)]


def questions(frame: Frame, wanted: int, rng: np.random.Generator) -> list[Item]:
    """So many different questions about the frame, or fewer where it has less to ask."""
    cast, found, seen = Cast(frame), [], set()
    # Mostly what a small model learns: one colour of one person, whom the tag tells from the others.
    kinds: list[Callable[[Cast, np.random.Generator], Item | None]] = [_shirt, _trousers] * 8
    kinds += [_holding, _where, _who, _both]
    for _ in range(6 * wanted):
        item = kinds[int(rng.integers(len(kinds)))](cast, rng)
        if item and str(item.question) not in seen:
            found.append(item)
            seen.add(str(item.question))
        if len(found) == wanted:
            break
    return found


def _shirt(cast: Cast, rng: np.random.Generator) -> Item:
    tag, person = _somebody(cast, rng)
    question: Text = ["What", "color", "is", "the", "shirt", "of", tag, "?"]
    answers: list[Text] = [["The", "shirt", "of", tag, "is", color, "."] for color in SHIRTS]
    return _item("shirt", question, (answers, SHIRTS.index(person.shirt)), _trousers_of(tag, person), rng)


def _trousers(cast: Cast, rng: np.random.Generator) -> Item:
    tag, person = _somebody(cast, rng)
    question: Text = ["What", "color", "are", "the", "trousers", "of", tag, "?"]
    answers: list[Text] = [["The", "trousers", "of", tag, "are", color, "."] for color in TROUSERS]
    truth = _index(TROUSERS, person.trousers)
    return _item("trousers", question, (answers, truth), _shirt_of(tag, person), rng)


def _holding(cast: Cast, rng: np.random.Generator) -> Item | None:
    tag, person = _somebody(cast, rng)
    if not person.holds:
        return None
    question: Text = ["What", "is", tag, "holding", "?"]
    answers = _held(cast, tag)
    truth = _index(ITEMS, person.holds.name)
    return _item("holding", question, (answers, truth), _shirt_of(tag, person), rng)


def _where(cast: Cast, rng: np.random.Generator) -> Item:
    tag, person = _somebody(cast, rng)
    question: Text = ["Where", "is", tag, "?"]
    truth = _index(GROUNDS, person.ground)
    return _item("where", question, (_grounds(tag), truth), _trousers_of(tag, person), rng)


def _who(cast: Cast, rng: np.random.Generator) -> Item | None:
    """Asks who wears a colour that one of four people wears; the choices are tags."""
    shirts = [person.shirt for person in cast.frame.people]
    alone = [position for position, shirt in enumerate(shirts) if shirts.count(shirt) == 1]
    if len(shirts) < CHOICES or not alone:
        return None
    position = alone[int(rng.integers(len(alone)))]
    person = cast.frame.people[position]
    question: Text = ["Who", "is", "wearing", "a", shirts[position], "shirt", "?"]
    answers: list[Text] = [[[index], "is", "wearing", "it", "."] for index in range(len(shirts))]
    return _item("who", question, (answers, position), _trousers_of([position], person), rng)


def _both(cast: Cast, rng: np.random.Generator) -> Item:
    """Asks about two people in one tag; a choice names a colour for each."""
    first, second = sorted(rng.permutation(len(cast.frame.people))[:2].tolist())
    people = cast.frame.people[first], cast.frame.people[second]
    question: Text = ["What", "are", [first, second], "wearing", "?"]
    answers: list[Text] = [
        [[first], "has", "a", one, "shirt", "and", [second], "has", "a", other, "shirt", "."]
        for one in SHIRTS
        for other in SHIRTS
    ]
    truth = SHIRTS.index(people[0].shirt) * len(SHIRTS) + SHIRTS.index(people[1].shirt)
    return _item("both", question, (answers, truth), _trousers_of([first], people[0]), rng)


def _somebody(cast: Cast, rng: np.random.Generator) -> tuple[list[int], Person]:
    position = int(rng.integers(len(cast.frame.people)))
    return [position], cast.frame.people[position]


def _index(names: dict[str, Any], name: str) -> int:
    return list(names).index(name)


def _held(cast: Cast, tag: list[int]) -> list[Text]:
    return [[tag, "is", "holding", "the", cast.tag(name), "."] for name in ITEMS]


def _grounds(tag: list[int]) -> list[Text]:
    return [[tag, "is", "standing", *_on(ground), "."] for ground in GROUNDS]


def _on(ground: str) -> list[str]:
    return ["in" if ground == "water" else "on", "the", ground]


def _shirt_of(tag: list[int], person: Person) -> tuple[list[Text], int]:
    texts: list[Text] = [[tag, "is", "the", "one", "in", "the", color, "shirt", "."] for color in SHIRTS]
    return texts, SHIRTS.index(person.shirt)


def _trousers_of(tag: list[int], person: Person) -> tuple[list[Text], int]:
    texts: list[Text] = [[tag, "is", "the", "one", "in", "the", color, "trousers", "."] for color in TROUSERS]
    return texts, _index(TROUSERS, person.trousers)


def _item(
    kind: str,
    question: Text,
    answers: tuple[list[Text], int],
    rationales: tuple[list[Text], int],
    rng: np.random.Generator,
) -> Item:
    """Puts the right one and three others, drawn evenly, in a random order."""
    return Item(kind, question, *_four(*answers, rng), *_four(*rationales, rng))


def _four(choices: list[Text], right: int, rng: np.random.Generator) -> tuple[list[Text], int]:
    others = [index for index in rng.permutation(len(choices)).tolist() if index != right][: CHOICES - 1]
    order = [[right, *others][index] for index in rng.permutation(CHOICES).tolist()]
    return [choices[index] for index in order], order.index(right)


def metadata(frame: Frame, rng: np.random.Generator) -> dict[str, Any]:
    """The official json of a frame: boxes with confidence, polygons, names, and its size in pixels."""
    found: list[tuple[Box, list[Polygon]]] = [(person.box, person.segments) for person in frame.people]
    found += [(item.box, item.segments) for item in frame.items]
    return detections(found, Cast(frame).names, (WIDTH, HEIGHT), rng)


def detections(
    found: list[tuple[Box, list[Polygon]]], names: list[str], size: tuple[int, int], rng: np.random.Generator
) -> dict[str, Any]:
    """Boxes and outlines as a detector gives them, in the form of VCR's metadata."""
    width, height = size
    boxes, segments = [], []
    for box, polygons in found:
        corners = np.array(box) + rng.uniform(-0.8, 0.8, 4)
        corners = np.clip(corners, 0, (width, height, width, height)).round(3).tolist()
        boxes.append([*corners, round(float(rng.uniform(0.75, 0.999)), 4)])
        segments.append([_whole_pixels(polygon, width, height) for polygon in polygons])
    return {"boxes": boxes, "segms": segments, "names": names, "width": width, "height": height}


def _whole_pixels(polygon: Polygon, width: int, height: int) -> list[list[int]]:
    return [[min(max(round(x), 0), width - 1), min(max(round(y), 0), height - 1)] for x, y in polygon]


class FrameFiles(NamedTuple):
    """Names of one frame's files, relative to `vcr1images`."""

    movie: str
    image: str
    metadata: str


def frame_files(split: str, number: int) -> FrameFiles:
    """Ten frames make a movie."""
    movie = f"sample_{split}_{number // 10:03d}"
    second = 4 * (number % 10)
    stem = f"{movie}/{movie}_00.00.{second:02d}.000-00.00.{second + 3:02d}.000@0"
    return FrameFiles(movie, f"{stem}.jpg", f"{stem}.json")


def records(split: str, frames: list[Frame], items: list[list[Item]]) -> Iterator[dict[str, Any]]:
    """The official json lines; those of test lack everything that gives the labels away."""
    number = 0
    for position, (frame, several) in enumerate(zip(frames, items, strict=True)):
        for index, item in enumerate(several):
            yield _record(split, (position, index, number), frame, item)
            number += 1


def _record(split: str, place: tuple[int, int, int], frame: Frame, item: Item) -> dict[str, Any]:
    position, index, number = place
    files, name = frame_files(split, position), f"{split}-{number}"
    record: dict[str, Any] = {
        "movie": files.movie,
        "objects": Cast(frame).names,
        "interesting_scores": [1, 0],
        "answer_likelihood": "likely",
        "img_fn": files.image,
        "metadata_fn": files.metadata,
        "answer_orig": _plain(item.answers[item.right_answer]),
        "question_orig": _plain(item.question),
        "rationale_orig": _plain(item.rationales[item.right_rationale]),
        "question": item.question,
        "answer_match_iter": [(choice - item.right_answer) % CHOICES for choice in range(CHOICES)],
        "answer_sources": [number if choice == item.right_answer else number + 1 for choice in range(CHOICES)],
        "answer_choices": item.answers,
        "answer_label": item.right_answer,
        "rationale_choices": item.rationales,
        "rationale_sources": [number if choice == item.right_rationale else number + 1 for choice in range(CHOICES)],
        "rationale_match_iter": [(choice - item.right_rationale) % CHOICES for choice in range(CHOICES)],
        "rationale_label": item.right_rationale,
        "img_id": f"{split}-{position}",
        "question_number": index,
        "annot_id": name,
        "match_fold": f"{split}-0",
        "match_index": number,
    }
    return record if split != "test" else {key: value for key, value in record.items() if key not in _TOLD_BY}


_TOLD_BY = {
    "answer_orig",
    "rationale_orig",
    "answer_match_iter",
    "answer_sources",
    "answer_label",
    "rationale_sources",
    "rationale_match_iter",
    "rationale_label",
    "answer_likelihood",
    "interesting_scores",
}


def spoken(cast: Cast, item: Item) -> list[str]:
    """The item's texts with words in place of tags, people named in the order of mention."""
    names: dict[int, str] = {}
    texts = []
    for text in (item.question, *item.answers, *item.rationales):
        words = []
        for token in text:
            for index in token if isinstance(token, list) else ():
                if cast.names[index] == "person" and index not in names:
                    names[index] = PEOPLE[len(names)]
                words.append(names.get(index, cast.names[index]))
            words += [token] if isinstance(token, str) else []
        texts.append(" ".join(words))
    return texts


def _plain(text: Text) -> str:
    """The text as an annotator typed it: objects counted from 1."""
    words = [" and ".join(str(index + 1) for index in token) if isinstance(token, list) else token for token in text]
    return " ".join(words).replace(" ?", "?").replace(" .", ".")
