"""Where the words of a sentence stand among the word pieces that a model reads."""

from collections.abc import Sequence
from typing import NamedTuple

from mmf_visualbert.processors.text import Assembled, TextAssembler
from mmf_visualbert.tasks.flickr30k.annotations import Phrase

SPEAKERS = ("last", "first", "mean", "max")


class Placed(NamedTuple):
    """A sentence as the model reads it.

    Attributes:
        assembled: its word pieces.
        places: of each word its pieces' positions, -1 where one was cut; empty for a word of nothing.
    """

    assembled: Assembled
    places: list[tuple[int, ...]]


def place_words(text: TextAssembler, words: Sequence[str]) -> Placed:
    """The words of `[CLS] words [SEP]`."""
    pieces = text.tokenizer.word_pieces(words)
    assembled = text.single(pieces.ids)
    places = [
        tuple(assembled.position_of("a", piece) for piece in range(start, end))
        for start, end in zip(pieces.starts, pieces.ends, strict=True)
    ]
    return Placed(assembled, places)


def pieces_of(phrase: Phrase, places: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The positions of all pieces of a phrase."""
    return tuple(place for word in places[phrase.first_word : phrase.last_word + 1] for place in word)


def speaking(pieces: Sequence[int], speaker: str) -> tuple[int, ...]:
    """The pieces that speak for a word or phrase; none where they were cut.

    Args:
        pieces: all its positions, -1 where one was cut.
        speaker: "last" or "first", for one sub-word; "mean" or "max", for all that were kept.
    """
    if speaker == "first":
        pieces = pieces[:1]
    elif speaker == "last":
        pieces = pieces[-1:]
    return tuple(piece for piece in pieces if piece >= 0)
