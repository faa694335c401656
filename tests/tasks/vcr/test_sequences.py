"""Alignment, by hand, on tokens that split and are cut."""

import pytest
import torch
from vcr_world import assembler, tokenizer

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vcr.sequences import ChoiceSequences, alignment_tensor

OBJECTS = ["person", "person", "cellphone"]


def pieces(sequence) -> list[str]:
    read = tokenizer()
    return [read.token(index) for index in sequence.assembled.input_ids[: sequence.assembled.length].tolist()]


def test_every_sub_word_of_every_mention():
    context = ["does", [0], "likes", [1], "?"]
    choices = [["yes", [1], "likes", [2]], ["no"]]
    first, second = ChoiceSequences(assembler())(context, choices, OBJECTS)
    assert pieces(first) == ("[CLS] does casey likes ri ##ley ? [SEP] yes ri ##ley likes cell ##phone [SEP]".split())
    #   0     1    2     3    4    5   6   7    8   9    10    11   12     13     14
    assert first.positions == {0: [2], 1: [4, 5, 9, 10], 2: [12, 13]}
    assert second.positions == {0: [2], 1: [4, 5]}
    assert first.assembled.text_segments[:15].tolist() == [0] * 8 + [1] * 7


def test_first_sub_word_only():
    context = ["does", [0], "likes", [1], "?"]
    (first,) = ChoiceSequences(assembler(), sub_words="first")(context, [["yes", [1], "likes", [2]]], OBJECTS)
    assert first.positions == {0: [2], 1: [4, 9], 2: [12]}


def test_released_names_refer_to_the_right_objects():
    (first,) = ChoiceSequences(assembler(), names="released")([[0], "?"], [[[1], "likes", [0]]], OBJECTS)
    assert pieces(first) == "[CLS] casey ? [SEP] casey likes casey [SEP]".split()
    assert first.positions == {0: [1, 6], 1: [4]}


def test_a_long_choice_keeps_its_end():
    choice = [[0], "is", "near", [1], ",", "the", "car", "and", [2]]
    (first,) = ChoiceSequences(assembler(11))(["who", "?"], [choice], OBJECTS)
    # Room for 8 pieces: 2 of the context, the last 6 of the choice's 10.
    assert pieces(first) == "[CLS] who ? [SEP] , the car and cell ##phone [SEP]".split()
    assert first.positions == {2: [8, 9]}


def test_a_word_that_is_cut_in_two_keeps_its_rest():
    (first,) = ChoiceSequences(assembler(8))(["who", "?"], [[[1], [0], "is", "happy"]], OBJECTS)
    # Object 1 is casey and object 0 is ri ##ley; the choice keeps 3 of its 5 pieces.
    assert pieces(first) == "[CLS] who ? [SEP] ##ley is happy [SEP]".split()
    assert first.positions == {0: [4]}


def test_a_long_context_is_cut_and_loses_its_positions():
    context = ["the", "house", "and", "the", "car", "and", "the", "dog", "near", [0]]
    (first,) = ChoiceSequences(assembler(11))(context, [["no", [0]]], OBJECTS)
    assert pieces(first) == "[CLS] the house and the car and [SEP] no casey [SEP]".split()
    assert first.positions == {0: [9]}


def test_alignment_tensor():
    alignment = alignment_tensor({0: [2], 2: [12, 13], 5: [1]}, [-1, 0, 1, 2], (5, 3))
    assert alignment.dtype == torch.int64
    assert alignment.tolist() == [[-1] * 3, [2, -1, -1], [-1] * 3, [12, 13, -1], [-1] * 3]


def test_bound_on_pieces_of_a_name():
    bound = ChoiceSequences(assembler()).pieces_of_names(["person", "cellphone", "car"])
    assert bound["cellphone"] == 2 and bound["car"] == 1
    assert bound["person"] >= 3
    assert ChoiceSequences(assembler(), sub_words="first").pieces_of_names(["cellphone"]) == {"cellphone": 1}


@pytest.mark.parametrize("setting", [{"names": "real"}, {"sub_words": "last"}])
def test_unknown_settings(setting):
    with pytest.raises(InputError, match="set it to one of"):
        ChoiceSequences(assembler(), **setting)
