"""NLVR2 over pairs of scenes: every sentence is true of two pairs of its set and false of the two others.

So a sentence alone tells nothing, as in the official collection (Suhr et al., 2019), and most sentences name one of
the two images, or compare them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmf_visualbert.sampleworld.scene import Scene, random_scene, some_words
from mmf_visualbert.sampleworld.words import COLORS, NUMBERS, SHAPES, counted, plural, sentence, with_article

PAIRS = 4
"""Pairs of images that share one set of sentences."""
SHARES: dict[str, float] = {"any": 0.45, "attribute": 0.3, "side": 0.15, "both": 0.04, "count": 0.03, "more": 0.03}
"""Kind of sentence -> how often it is taken. Those of any image, then those of one attribute, are learned first."""


class PairSet(NamedTuple):
    """Four pairs of scenes and the sentences over them; `labels[s][p]` is the truth of sentence s over pair p."""

    pairs: list[tuple[Scene, Scene]]
    sentences: list[str]
    labels: list[list[bool]]
    noun: str


def make_set(rng: np.random.Generator, sentences: int) -> PairSet:
    """A set with so many sentences; its scenes draw on the same five colours and four shapes, so they are alike."""
    while True:
        colors, shapes = some_words(rng, colors=5, shapes=4)
        pairs = [(_scene(rng, colors, shapes), _scene(rng, colors, shapes)) for _ in range(PAIRS)]
        candidates = _balanced(pairs, colors, shapes)
        if sum(len(several) for several in candidates.values()) < 3 * sentences:
            continue
        chosen: dict[str, list[bool]] = {}
        while len(chosen) < sentences:
            several = candidates[str(rng.choice(list(SHARES), p=list(SHARES.values())))]
            if several:
                text, truths = several[int(rng.integers(len(several)))]
                chosen[text] = truths
        return PairSet(pairs, list(chosen), list(chosen.values()), shapes[0])


def _scene(rng: np.random.Generator, colors: Sequence[str], shapes: Sequence[str]) -> Scene:
    """A scene of two of the colours and two of the shapes: most of what could be said is not there."""
    own_colors, own_shapes = (rng.permutation(words)[:2].tolist() for words in (colors, shapes))
    return random_scene(rng, things=(2, 4), colors=own_colors, shapes=own_shapes)


def _balanced(
    pairs: list[tuple[Scene, Scene]], colors: Sequence[str], shapes: Sequence[str]
) -> dict[str, list[tuple[str, list[bool]]]]:
    """Kind -> the sentences that are true of exactly half of the pairs, with their truths."""
    truths: dict[tuple[str, str], list[bool]] = {}
    for left, right in pairs:
        for kind, text, truth in statements(left, right, sorted(colors), sorted(shapes)):
            truths.setdefault((kind, text), []).append(truth)
    found: dict[str, list[tuple[str, list[bool]]]] = {kind: [] for kind in SHARES}
    for (kind, text), several in truths.items():
        if sum(several) * 2 == len(pairs):
            found[kind].append((text, several))
    return found


def statements(
    left: Scene, right: Scene, colors: Sequence[str] = tuple(COLORS), shapes: Sequence[str] = SHAPES
) -> Iterator[tuple[str, str, bool]]:
    """Every (kind, sentence, truth) about the two scenes with these colours and shapes."""
    kinds = [(color, shape) for color in colors for shape in shapes]
    for color, shape in kinds:
        yield from _about_kind(color, shape, len(left.those(color, shape)), len(right.those(color, shape)))
    for shape in shapes:
        yield from _about_attribute(shape, len(left.those(shape=shape)), len(right.those(shape=shape)))
        yield from _about_numbers(plural(shape), len(left.those(shape=shape)), len(right.those(shape=shape)))
    for color in colors:
        noun = f"{color} object"
        yield from _about_attribute(noun, len(left.those(color=color)), len(right.those(color=color)))
        yield from _about_numbers(f"{noun}s", len(left.those(color=color)), len(right.those(color=color)))


def _about_kind(color: str, shape: str, left: int, right: int) -> Iterator[tuple[str, str, bool]]:
    thing = with_article(f"{color} {shape}")
    yield "side", sentence(f"the left image contains {thing}"), left > 0
    yield "side", sentence(f"the right image contains {thing}"), right > 0
    yield "side", sentence(f"there is {thing} in the left image"), left > 0
    yield "side", sentence(f"there is {thing} in the right image"), right > 0
    yield "both", sentence(f"both images contain {thing}"), min(left, right) > 0
    yield from _about_any(color + " " + shape, left, right)
    yield "both", sentence(f"only one of the images contains {thing}"), (left > 0) != (right > 0)


def _about_any(noun: str, left: int, right: int) -> Iterator[tuple[str, str, bool]]:
    yield "any", sentence(f"at least one of the images contains {with_article(noun)}"), max(left, right) > 0
    yield "any", sentence(f"there is {with_article(noun)} in one of the images"), max(left, right) > 0


def _about_attribute(noun: str, left: int, right: int) -> Iterator[tuple[str, str, bool]]:
    for side, number in (("left", left), ("right", right)):
        yield "attribute", sentence(f"there is {with_article(noun)} in the {side} image"), number > 0
        yield "attribute", sentence(f"the {side} image contains {with_article(noun)}"), number > 0
    yield from _about_any(noun, left, right)


def _about_numbers(nouns: str, left: int, right: int) -> Iterator[tuple[str, str, bool]]:
    for side, number in (("left", left), ("right", right)):
        yield "count", sentence(f"there are no {nouns} in the {side} image"), number == 0
        for wanted in (2, 3):
            yield "count", sentence(f"the {side} image contains exactly {NUMBERS[wanted]} {nouns}"), number == wanted
    for total in (2, 3, 4):
        yield "count", sentence(f"there are {NUMBERS[total]} {nouns} in total"), left + right == total
    yield "more", sentence(f"there are more {nouns} in the left image than in the right image"), left > right
    yield "more", sentence(f"there are more {nouns} in the right image than in the left image"), right > left


def records(split: str, number: int, pair_set: PairSet, rng: np.random.Generator) -> list[dict[str, Any]]:
    """The official json lines of one set, in the order of the official files: sentence by sentence."""
    lines = []
    for index, (text, truths) in enumerate(zip(pair_set.sentences, pair_set.labels, strict=True)):
        for pair in rng.permutation(PAIRS).tolist():
            lines.append(_record(split, (number, pair, index), text, str(truths[pair]), pair_set.noun, rng))
    return lines


def image_name(split: str, number: int, pair: int, side: int) -> str:
    """`dev-850-0-img0`: the left image (side 0) of the pair 0 in the set 850."""
    return f"{split}-{number}-{pair}-img{side}"


def _record(
    split: str, place: tuple[int, int, int], text: str, label: str, noun: str, rng: np.random.Generator
) -> dict[str, Any]:
    number, pair, index = place
    people = rng.permutation(160)[:6].tolist()
    left, right = (f"https://example.org/{image_name(split, number, pair, side)}.png" for side in (0, 1))
    line: dict[str, Any] = {
        "validation": {str(people[0]): label},
        "sentence": text,
        "left_url": left,
        "writer": str(people[1]),
        "label": label,
        "right_url": right,
        "synset": noun,
        "query": f"{counted(3, noun)}{number}",
        "identifier": f"{split}-{number}-{pair}-{index}",
    }
    if split == "train":
        line["directory"] = number % 100
    else:
        line["extra_validations"] = {str(person): label for person in people[2:]}
    return line
