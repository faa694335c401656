"""Tags in VCR's texts become words, as R2C does (dataloaders/vcr.py of rowanz/r2c), with and without its collision.

A tag names objects of the frame. A person becomes a gender-neutral name, in order of mention; every other object
becomes the word of its class. Each object of a tag is one word; nothing is put between them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

NAMES = ("Casey Riley Jessie Jackie Avery Jaime Peyton Kerry Jody Kendall Skyler Frankie Pat Quinn").split()
RELEASED_NAMES = (*NAMES[:10], "Peyton", *NAMES[10:])
"""The list of the released code, where Peyton stands twice."""

PERSON = "person"
NO_OBJECT = -1


class Spelled(NamedTuple):
    """A text without tags.

    Attributes:
        words: W words.
        objects: W indices, the object that the word names, -1 for words that name none.
        names: the words of every object named so far: object index -> its words.
    """

    words: list[str]
    objects: list[int]
    names: dict[int, tuple[str, ...]]


def spell(tokens: Sequence, objects: Sequence[str], names: Mapping[int, tuple[str, ...]] | None = None) -> Spelled:
    """Spells tags so that every object has one name throughout a sequence, and every person a name of its own.

    Args:
        tokens: words, and tags (lists of object indices).
        objects: class name of each object of the frame.
        names: names given in the text before (`Spelled.names` of the context), which go on to hold.

    Past the fourteenth person a name comes with a number of its own ("Casey 2").
    """
    names = dict(names or {})
    persons = sum(objects[index] == PERSON for index in names)
    for index in _mentioned(tokens):
        if index in names:
            continue
        if objects[index] == PERSON:
            names[index] = _person(persons)
            persons += 1
        else:
            names[index] = (objects[index],)
    return _spelled(tokens, names)


def spell_released(
    tokens: Sequence, objects: Sequence[str], names: Mapping[int, tuple[str, ...]] | None = None
) -> Spelled:
    """Spells tags exactly as the released code does, for weights trained with it.

    There, persons of the context are not counted when a choice is read: the first person that only the choice mentions
    is "Casey" again, whoever is Casey in the context. Arguments as in `spell`.
    """
    names = dict(names or {})
    persons = 0
    for index in _mentioned(tokens):
        if index in names:
            continue
        if objects[index] == PERSON:
            names[index] = (RELEASED_NAMES[persons % len(RELEASED_NAMES)],)
            persons += 1
        else:
            names[index] = (objects[index],)
    return _spelled(tokens, names)


SPELLINGS = {"distinct": spell, "released": spell_released}


def _person(order: int) -> tuple[str, ...]:
    name, round_ = NAMES[order % len(NAMES)], order // len(NAMES)
    return (name, str(round_ + 1)) if round_ else (name,)


def _mentioned(tokens: Sequence) -> list[int]:
    return [index for token in tokens if not isinstance(token, str) for index in token]


def _spelled(tokens: Sequence, names: dict[int, tuple[str, ...]]) -> Spelled:
    words, objects = [], []
    for token in tokens:
        if isinstance(token, str):
            words.append(token)
            objects.append(NO_OBJECT)
            continue
        for index in token:
            words += names[index]
            objects += [index] * len(names[index])
    return Spelled(words, objects, names)
