"""Flickr30K Entities over the scenes: five sentences with marked phrases, and the boxes of what they mean.

Phrases name what the picture tells apart, beside things of the same colour or shape. As in the official files a chain
(one id) may have several boxes, a box may belong to several chains, the whole scene and things without a box are
mentioned too, and now and then one sentence says the same phrase twice.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from mmf_visualbert.sampleworld.images import Picture
from mmf_visualbert.sampleworld.parses import conllu
from mmf_visualbert.sampleworld.phrases import Phrase, groups, names
from mmf_visualbert.sampleworld.scene import Scene, Thing, random_scene, some_words
from mmf_visualbert.sampleworld.words import relation_words, with_article

TYPES: dict[str, str] = {
    "circle": "other",
    "square": "vehicles",
    "triangle": "instruments",
    "star": "animals",
    "cross": "clothing",
}
"""Shape -> the official phrase type that it borrows, so that results by type have something to tell apart."""
PER_SCENE = 5


@dataclass
class Entities:
    """The chains of one picture.

    Args:
        first: number of the first chain; chains count on over the whole world.
        boxed: things of a chain -> its number.
        whole: number of the chain that means the whole scene, where one does.
        unboxed: number of the chain that has no box, where there is one.
    """

    first: int
    boxed: dict[tuple[Thing, ...], int] = field(default_factory=dict)
    whole: int | None = None
    unboxed: int | None = None
    count: int = 0

    def number(self) -> int:
        """The next free number."""
        self.count += 1
        return self.first + self.count - 1

    def mark(self, text: str, things: tuple[Thing, ...]) -> str:
        """`text` as a marked phrase that means the things."""
        if things not in self.boxed:
            self.boxed[things] = self.number()
        return f"[/EN#{self.boxed[things]}/{TYPES[things[0].shape]} {text}]"

    def mark_whole(self, text: str) -> str:
        """`text` as a marked phrase that means the whole scene."""
        self.whole = self.number() if self.whole is None else self.whole
        return f"[/EN#{self.whole}/scene {text}]"

    def mark_unboxed(self, text: str) -> str:
        """`text` as a marked phrase that has no box."""
        self.unboxed = self.number() if self.unboxed is None else self.unboxed
        return f"[/EN#{self.unboxed}/other {text}]"


def make_scene(rng: np.random.Generator) -> Scene:
    """A scene of few colours and shapes, of which at least three things can be told apart in words."""
    while True:
        colors, shapes = some_words(rng, colors=int(rng.integers(3, 5)), shapes=3)
        scene = random_scene(rng, things=(4, 8), colors=colors, shapes=shapes)
        if sum(bool(several) for several in names(scene).values()) >= 3:
            return scene


def sentences_of(scene: Scene, first_chain: int, rng: np.random.Generator) -> tuple[list[str], Entities]:
    """Five sentences in the official notation, and the chains that they mention."""
    teller = _Teller(scene, Entities(first_chain), rng)
    forms: list[Callable[[], str]] = [teller.related, teller.listed, teller.described, teller.placed, teller.repeated]
    order = [*rng.permutation(5).tolist(), *rng.integers(0, 5, 60).tolist()]
    found: list[str] = []
    for index in order:
        text = forms[index]()
        if text and text not in found:
            found.append(text)
        if len(found) == PER_SCENE:
            return found, teller.entities
    raise ValueError("five sentences need a scene with three things that can be told apart")


class _Teller:
    """Makes marked sentences about one scene; each form gives an empty string where the scene does not lend itself."""

    def __init__(self, scene: Scene, entities: Entities, rng: np.random.Generator) -> None:
        self.scene, self.entities, self.rng = scene, entities, rng
        self.called = {thing: several for thing, several in names(scene).items() if several}
        self.groups = groups(scene)

    def _pick(self, several: Sequence[Any]) -> Any:
        return several[int(self.rng.integers(len(several)))]

    def _single(self, thing: Thing, start: bool = False) -> str:
        text = self._pick(self.called[thing]).counted
        return self.entities.mark(_capital(text) if start else text, (thing,))

    def _group(self, phrase: Phrase, start: bool = False) -> str:
        return self.entities.mark(_capital(phrase.counted) if start else phrase.counted, phrase.things)

    def related(self) -> str:
        """One thing beside another."""
        pairs = [pair for pair in permutations(self.called, 2) if self.scene.relations(*pair)]
        if not pairs:
            return ""
        first, second = self._pick(pairs)
        relation = relation_words(self._pick(self.scene.relations(first, second)))
        return f"{self._single(first, start=True)} {self._pick(('', 'is '))}{relation} {self._single(second)} ."

    def listed(self) -> str:
        """Several of a kind, and one other thing."""
        if not self.groups:
            return ""
        group = self._pick(self.groups)
        others = [thing for thing in self.called if thing not in group.things]
        if not others:
            return f"{self._group(group, start=True)} in {self.entities.mark_whole('the picture')} ."
        return f"{self._group(group, start=True)} and {self._single(self._pick(others))} ."

    def described(self) -> str:
        """A thing named without its colour, and the colour; sometimes seen by somebody who is not in the picture."""
        named = [
            (thing, phrase)
            for thing, several in self.called.items()
            for phrase in several
            if thing.color not in phrase.words.split()
        ]
        if not named:
            return ""
        thing, phrase = self._pick(named)
        if self.rng.uniform() < 0.3:
            marked = self.entities.mark(f"the {phrase.words}", (thing,))
            return f"[/EN#0/notvisual We] see that {marked} is {thing.color} ."
        return f"{self.entities.mark(f'The {phrase.words}', (thing,))} is {thing.color} ."

    def placed(self) -> str:
        """A thing in the picture, or at its edge."""
        if not self.called:
            return ""
        subject = self._single(self._pick(list(self.called)), start=True)
        if self.rng.uniform() < 0.5:
            return f"{subject} is in {self.entities.mark_whole('the picture')} ."
        return f"{subject} leaves {self.entities.mark_unboxed('some room')} around it ."

    def repeated(self) -> str:
        """The same phrase twice: of two things of a kind, one beside the other; or of one thing beside two others."""
        twins = [phrase for phrase in self.groups if len(phrase.things) == 2]
        pairs = [(phrase, pair) for phrase in twins for pair in permutations(phrase.things) if self._apart(*pair)]
        if pairs and self.rng.uniform() < 0.3:
            phrase, (first, second) = self._pick(pairs)
            relation = relation_words(self._pick(self.scene.relations(first, second)))
            text = with_article(phrase.words)
            return f"{self.entities.mark(_capital(text), (first,))} {relation} {self.entities.mark(text, (second,))} ."
        triples = [three for three in permutations(self.called, 3) if self._apart(*three)]
        if not triples or self.rng.uniform() < 0.4:
            return self.related()
        first, second, third = self._pick(triples)
        text = self._pick(self.called[first]).words
        relations = [relation_words(self._pick(self.scene.relations(first, other))) for other in (second, third)]
        opening, again = (self.entities.mark(f"{article} {text}", (first,)) for article in ("The", "the"))
        return (
            f"{opening} is {relations[0]} {self._single(second)} and {again} is {relations[1]} {self._single(third)} ."
        )

    def _apart(self, first: Thing, *others: Thing) -> bool:
        return all(self.scene.relations(first, other) for other in others)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def annotation_xml(picture: Picture, entities: Entities) -> str:
    """The official xml of one picture; coordinates are whole pixels from 1 to the width or height."""
    numbers: dict[Thing, list[int]] = {}
    for things, number in entities.boxed.items():
        for thing in things:
            numbers.setdefault(thing, []).append(number)
    objects = [(sorted(several), _corners(thing, picture.scene)) for thing, several in numbers.items()]
    lines = ["<annotation>", f"\t<filename>{picture.file_name}</filename>", "\t<size>"]
    sizes = (("width", picture.width), ("height", picture.height), ("depth", 3))
    lines += [f"\t\t<{name}>{value}</{name}>" for name, value in sizes]
    lines.append("\t</size>")
    for several, corners in objects:
        lines += ["\t<object>", *(f"\t\t<name>{number}</name>" for number in several), "\t\t<bndbox>"]
        named = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        lines += [f"\t\t\t<{name}>{value}</{name}>" for name, value in named]
        lines += ["\t\t</bndbox>", "\t</object>"]
    for boxless, whole in ((entities.whole, 1), (entities.unboxed, 0)):
        if boxless is not None:
            flags = [f"\t\t<scene>{whole}</scene>", f"\t\t<nobndbox>{1 - whole}</nobndbox>"]
            lines += ["\t<object>", f"\t\t<name>{boxless}</name>", *flags, "\t</object>"]
    return "\n".join([*lines, "</annotation>"])


def _corners(thing: Thing, scene: Scene) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = thing.box
    return max(round(x1), 1), max(round(y1), 1), min(round(x2), scene.width), min(round(y2), scene.height)


def plain_words(sentence: str) -> list[str]:
    """The sentence without its marks, in pieces."""
    return [piece.split(" ", 1)[1] if piece.startswith("/EN#") else piece for piece in re.split(r"[\[\]]", sentence)]


def parses(image: str, sentences: Sequence[str]) -> list[str]:
    """The sentences of a picture in CoNLL-U, named as `visualbert analyze syntax` looks them up."""
    words = [" ".join(plain_words(sentence)).split() for sentence in sentences]
    return [conllu(f"{image}#{number}", each) for number, each in enumerate(words, start=1)]
