"""VCR's texts as word pieces, and which of them refer to which object (§4.2, Appendix B).

`[CLS] question [SEP] choice [SEP]`, and for rationales `[CLS] question right answer [SEP] rationale [SEP]`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.text import Assembled, Pieces, TextAssembler
from mmf_visualbert.tasks.vcr.names import NAMES, NO_OBJECT, PERSON, SPELLINGS, Spelled

SUB_WORDS = ("all", "first")
NO_POSITION = -1


class ChoiceSequence(NamedTuple):
    """One sequence of a question.

    Attributes:
        assembled: the text's tensors.
        positions: object index -> positions, in the sequence, of the word pieces that refer to it. Pieces that were
            cut have none.
    """

    assembled: Assembled
    positions: dict[int, list[int]]


class ChoiceSequences:
    """From a context and its choices, with tags, to one sequence a choice.

    What does not fit into the assembler's length is taken piece by piece from the longer side: the context keeps its
    beginning, the choice its end. Positions are looked up after splitting and cutting, so they are always true.

    Args:
        assembler: puts sequences together.
        names: `distinct`, one name an object; `released`, the released code's names with their collision.
        sub_words: `all` pieces of a word that refers to an object count as aligned (§3.2), or, as in the released
            code, only its `first`.

    Raises:
        InputError: for another value of `names` or `sub_words`.
    """

    def __init__(self, assembler: TextAssembler, names: str = "distinct", sub_words: str = "all") -> None:
        if names not in SPELLINGS:
            raise InputError(f"names is '{names}'; set it to one of {', '.join(SPELLINGS)}")
        if sub_words not in SUB_WORDS:
            raise InputError(f"sub_words is '{sub_words}'; set it to one of {', '.join(SUB_WORDS)}")
        self.assembler = assembler
        self.spell = SPELLINGS[names]
        self.sub_words = sub_words

    def __call__(self, context: Sequence, choices: Sequence[Sequence], objects: Sequence[str]) -> list[ChoiceSequence]:
        """One sequence for each choice.

        Args:
            context: tokens (words and tags) of the first segment.
            choices: tokens of the second segment of each sequence.
            objects: class name of each object of the frame.
        """
        spelled_context = self.spell(context, objects)
        context_pieces = self._pieces(spelled_context)
        sequences = []
        for choice in choices:
            spelled = self.spell(choice, objects, spelled_context.names)
            pieces = self._pieces(spelled)
            assembled = self.assembler.pair(context_pieces.ids, pieces.ids, keep_end="b")
            positions: dict[int, list[int]] = {}
            self._collect(positions, "a", spelled_context, context_pieces, assembled)
            self._collect(positions, "b", spelled, pieces, assembled)
            sequences.append(ChoiceSequence(assembled, positions))
        return sequences

    def pieces_of_names(self, classes: Sequence[str]) -> dict[str, int]:
        """For each class, the most positions that one mention of an object of that class can take."""
        if self.sub_words == "first":
            return {name: 1 if name != PERSON else 2 for name in classes}
        count = self.assembler.tokenizer.pieces
        person = max(len(count(name)) for name in NAMES) + max(len(count(str(digit))) for digit in range(2, 10))
        return {name: person if name == PERSON else len(count(name)) for name in classes}

    def _pieces(self, spelled: Spelled) -> Pieces:
        return self.assembler.tokenizer.word_pieces(spelled.words)

    def _collect(
        self, positions: dict[int, list[int]], segment: str, spelled: Spelled, pieces: Pieces, assembled: Assembled
    ) -> None:
        for index, start, end in zip(spelled.objects, pieces.starts, pieces.ends, strict=True):
            if index == NO_OBJECT:
                continue
            for piece in range(start, end if self.sub_words == "all" else min(start + 1, end)):
                position = assembled.position_of(segment, piece)
                if position >= 0:
                    positions.setdefault(index, []).append(position)


def alignment_tensor(positions: Mapping[int, Sequence[int]], regions: Sequence[int], shape: tuple[int, int]) -> Tensor:
    """Positions of the words that refer to each region: (R, A) int64, padded with -1.

    Args:
        positions: object index -> positions.
        regions: object index of each region; `NO_OBJECT` for the whole image, which no word refers to.
        shape: R and A.
    """
    alignment = torch.full(shape, NO_POSITION, dtype=torch.int64)
    for row, index in enumerate(regions):
        aligned = positions.get(index, ())
        alignment[row, : len(aligned)] = torch.tensor(aligned, dtype=torch.int64)
    return alignment
