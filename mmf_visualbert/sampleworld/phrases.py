"""Noun phrases: how a sentence calls a thing, or several of a kind, so that the picture tells which is meant."""

from collections.abc import Iterator
from typing import NamedTuple

from mmf_visualbert.sampleworld.scene import Scene, Thing
from mmf_visualbert.sampleworld.words import counted


class Phrase(NamedTuple):
    """Words without an article, and the things they mean: all things of the scene that they fit."""

    words: str
    things: tuple[Thing, ...]

    @property
    def counted(self) -> str:
        """`a red star`, `two red stars`."""
        return counted(len(self.things), self.words)


def phrases(scene: Scene) -> Iterator[Phrase]:
    """Every phrase with a shape that fits something in the scene, from `star` to `large red star`."""
    for (color, shape, size), things in scene.by_words.items():
        if shape:
            yield Phrase(" ".join(word for word in (size, color, shape) if word), things)


def names(scene: Scene) -> dict[Thing, list[Phrase]]:
    """Thing -> the phrases that mean it alone, shortest first; a thing with a twin has none."""
    found: dict[Thing, list[Phrase]] = {thing: [] for thing in scene.things}
    for phrase in phrases(scene):
        if len(phrase.things) == 1:
            found[phrase.things[0]].append(phrase)
    return {thing: sorted(several, key=lambda phrase: len(phrase.words)) for thing, several in found.items()}


def groups(scene: Scene) -> list[Phrase]:
    """The phrases that mean two to four things: `two red stars`, `three circles`."""
    return [phrase for phrase in phrases(scene) if 2 <= len(phrase.things) <= 4]
