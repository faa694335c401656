"""Dependency parses of the world's Flickr30K sentences: its grammar, read back.

Relations have the names that spaCy's English models give them, which the paper uses too (§5.2).
"""

from collections.abc import Sequence
from typing import NamedTuple

from mmf_visualbert.sampleworld.words import COLORS, NUMBERS, SHAPES, SIZES, plural

DETERMINERS = ("a", "an", "the", "some")
PREPOSITIONS = ("to", "above", "below", "in")
NOUNS = {*SHAPES, *map(plural, SHAPES), "picture", "room"}


class Word(NamedTuple):
    """A word of a parse: its governor, from 1, or 0 for the root; and its relation to it."""

    form: str
    tag: str
    governor: int
    relation: str


def parse(words: Sequence[str]) -> list[Word]:
    """The parse of one sentence of the world.

    Raises:
        ValueError: for a sentence of another grammar.
    """
    reader = _Reader([word.lower() for word in words])
    root = reader.clause()
    reader.link(root, -1, "root")
    reader.link(reader.take("."), root, "punct")
    if reader.at != len(words):
        raise ValueError(f"'{' '.join(words)}' is no sentence of this world")
    return [
        Word(form, tag, governor + 1, relation)
        for form, tag, governor, relation in zip(words, reader.tags, reader.governors, reader.relations, strict=True)
    ]


class _Reader:
    """Reads from left to right; every method gives the place of the word that stands for what it has read."""

    def __init__(self, words: list[str]) -> None:
        self.words = [*words, ""]
        self.at = 0
        self.tags = ["PUNCT"] * len(words)
        self.governors = [-1] * len(words)
        self.relations = [""] * len(words)

    def link(self, word: int, governor: int, relation: str) -> int:
        """Gives a word its governor."""
        self.governors[word], self.relations[word] = governor, relation
        return word

    def take(self, word: str, tag: str = "PUNCT") -> int:
        """The next word, which has to be this one."""
        if self.words[self.at] != word:
            raise ValueError(f"'{self.words[self.at]}' where '{word}' has to stand")
        return self.next(tag)

    def next(self, tag: str) -> int:
        """The next word, whatever it is."""
        self.tags[self.at] = tag
        self.at += 1
        return self.at - 1

    def clause(self) -> int:
        """A sentence, or one of two that `and` joins."""
        if self.words[self.at] == "we":
            subject, verb, mark = self.next("PRON"), self.take("see", "VERB"), self.take("that", "SCONJ")
            inner = self.link(self.clause(), verb, "ccomp")
            self.link(mark, inner, "mark")
            self.link(subject, verb, "nsubj")
            return verb
        subject = self.noun_phrase()
        if self.words[self.at] == "is":
            return self.statement(subject)
        if self.words[self.at] == "leaves":
            verb = self.next("VERB")
            self.link(subject, verb, "nsubj")
            self.link(self.noun_phrase(), verb, "dobj")
            around = self.link(self.take("around", "ADP"), verb, "prep")
            self.link(self.take("it", "PRON"), around, "pobj")
            return verb
        if self.words[self.at] == "and":
            self.link(self.next("CCONJ"), subject, "cc")
            self.link(self.noun_phrase(), subject, "conj")
            return subject
        self.where(subject)
        return subject

    def statement(self, subject: int) -> int:
        """`is red`, `is above a star`, and what follows with `and`."""
        verb = self.next("AUX")
        self.link(subject, verb, "nsubj")
        if self.words[self.at] in COLORS:
            self.link(self.next("ADJ"), verb, "acomp")
        else:
            self.where(verb)
        if self.words[self.at] == "and":
            self.link(self.next("CCONJ"), verb, "cc")
            self.link(self.clause(), verb, "conj")
        return verb

    def where(self, governor: int) -> None:
        """`above a star`, `to the left of a star`, `in the picture`."""
        if self.words[self.at] not in PREPOSITIONS:
            raise ValueError(f"'{self.words[self.at]}' where a place has to stand")
        preposition = self.link(self.next("ADP"), governor, "prep")
        if self.words[preposition] == "to":
            article = self.take("the", "DET")
            side = self.link(self.next("NOUN"), preposition, "pobj")
            self.link(article, side, "det")
            preposition = self.link(self.take("of", "ADP"), side, "prep")
        self.link(self.noun_phrase(), preposition, "pobj")

    def noun_phrase(self) -> int:
        """`two large red stars`."""
        before: list[tuple[int, str]] = []
        while self.words[self.at] not in NOUNS:
            word = self.words[self.at]
            if word in DETERMINERS:
                before.append((self.next("DET"), "det"))
            elif word in NUMBERS:
                before.append((self.next("NUM"), "nummod"))
            elif word in COLORS or word in SIZES:
                before.append((self.next("ADJ"), "amod"))
            else:
                raise ValueError(f"'{word}' in a phrase")
        noun = self.next("NOUN")
        for word_before, relation in before:
            self.link(word_before, noun, relation)
        return noun


def conllu(sentence_id: str, words: Sequence[str]) -> str:
    """One sentence in the CoNLL-U format."""
    lines = [f"# sent_id = {sentence_id}", f"# text = {' '.join(words)}"]
    for number, word in enumerate(parse(words), start=1):
        columns = (str(number), word.form, "_", word.tag, "_", "_", str(word.governor), word.relation, "_", "_")
        lines.append("\t".join(columns))
    return "\n".join([*lines, "", ""])
