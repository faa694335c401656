"""The world's parses: of every sentence, and right where they can be checked by hand."""

import conllu
import numpy as np
import pytest

from mmf_visualbert.sampleworld.flickr30k import make_scene, parses, plain_words, sentences_of
from mmf_visualbert.sampleworld.parses import parse

BY_HAND = {
    "Two large red stars are": None,
    "A red star is to the left of the circle .": (
        "det amod nsubj root prep det pobj prep det pobj punct",
        [3, 3, 4, 0, 4, 7, 5, 7, 10, 8, 4],
    ),
    "We see that the star is red .": ("nsubj root mark det nsubj ccomp acomp punct", [2, 0, 6, 5, 6, 2, 6, 2]),
    "A star leaves some room around it .": ("det nsubj root det dobj prep pobj punct", [2, 3, 0, 5, 3, 3, 6, 3]),
    "Two stars and a blue cross .": ("nummod root cc det amod conj punct", [2, 0, 2, 6, 6, 2, 2]),
    "A star above a circle .": ("det root prep det pobj punct", [2, 0, 2, 5, 3, 2]),
}


@pytest.mark.parametrize("sentence", BY_HAND)
def test_parses_are_those_made_by_hand(sentence):
    if BY_HAND[sentence] is None:
        with pytest.raises(ValueError, match="'are' where"):
            parse(sentence.split())
        return
    relations, governors = BY_HAND[sentence]
    found = parse(sentence.split())
    assert [word.relation for word in found] == relations.split()
    assert [word.governor for word in found] == governors


def test_every_sentence_has_a_tree_of_its_words():
    relations = set()
    for index in range(150):
        scene = make_scene(np.random.default_rng([8, index]))
        sentences, _ = sentences_of(scene, 1, np.random.default_rng(index))
        for number, (text, block) in enumerate(zip(sentences, parses("77", sentences), strict=True), start=1):
            (sentence,) = conllu.parse(block)
            assert sentence.metadata["sent_id"] == f"77#{number}"
            assert [token["form"] for token in sentence] == " ".join(plain_words(text)).split()
            assert sentence.to_tree() is not None and [token["head"] for token in sentence].count(0) == 1
            relations |= {token["deprel"] for token in sentence}
    assert {"nsubj", "amod", "pobj", "dobj", "conj"} <= relations
