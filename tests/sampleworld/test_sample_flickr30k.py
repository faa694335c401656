"""Flickr30K Entities of the world: official text and xml, phrases that mean their boxes, coverage by the detector."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from mmf_visualbert.sampleworld.flickr30k import TYPES, make_scene, sentences_of
from mmf_visualbert.sampleworld.words import COLORS, NUMBERS, SHAPES
from mmf_visualbert.tasks.flickr30k.annotations import read_annotation, read_sentences, read_split

MARK = re.compile(r"\[/EN#(\d+)/([a-z]+) ([^\]]+)\]")


@pytest.fixture(scope="module")
def told():
    made = []
    for index in range(80):
        scene = make_scene(np.random.default_rng([8, index]))
        made.append((scene, *sentences_of(scene, 1, np.random.default_rng(index))))
    return made


def test_five_sentences_in_the_official_notation(told):
    for _, sentences, entities in told:
        assert len(set(sentences)) == 5
        for sentence in sentences:
            assert sentence.endswith(" .") and MARK.search(sentence)
            assert "[" not in MARK.sub("", sentence) and "]" not in MARK.sub("", sentence)
            numbers = {int(number) for number, _, _ in MARK.findall(sentence)}
            assert numbers <= set(range(entities.count + 1))


def test_phrases_mean_exactly_their_things(told):
    alone, several = 0, 0
    for scene, sentences, entities in told:
        things_of = {number: things for things, number in entities.boxed.items()}
        for number, kind, text in (match for sentence in sentences for match in MARK.findall(sentence)):
            things = things_of.get(int(number))
            if things is None:
                assert kind in ("scene", "other", "notvisual")
                continue
            words = text.lower().split()
            shape = next(s for s in SHAPES if any(word.startswith(s) for word in words))
            fitting = scene.those(
                next((c for c in COLORS if c in words), None),
                shape,
                next((s for s in ("small", "large") if s in words), None),
            )
            assert set(things) <= set(fitting) and kind == TYPES[shape]
            if len(things) > 1:
                assert fitting == things and NUMBERS.index(words[0]) == len(things)
                several += 1
            alone += len(things) == len(fitting) == 1
    assert several > 20 and alone > 200


def test_every_form_of_the_official_files_comes(told):
    everything = [sentence for _, sentences, _ in told for sentence in sentences]
    assert any("[/EN#0/notvisual " in sentence for sentence in everything)
    assert any("/scene " in sentence for sentence in everything)
    assert any(entities.unboxed is not None for _, _, entities in told)
    texts = [[text.lower() for _, _, text in MARK.findall(sentence)] for sentence in everything]
    repeated = [
        sentence for sentence, several in zip(everything, texts, strict=True) if len(set(several)) < len(several)
    ]
    assert 0.01 < len(repeated) / len(everything) < 0.25
    numbers = [{number for number, _, _ in MARK.findall(sentence)} for sentence in repeated]
    assert {len(several) for several in numbers} >= {2}  # of the same thing, or of two of a kind


def test_there_are_distractors(told):
    """Most things share colour or shape with another, so that one word of a phrase is not enough."""
    shared = [
        any(other is not one and (other.color == one.color or other.shape == one.shape) for other in scene.things)
        for scene, _, _ in told
        for one in scene.things
    ]
    assert np.mean(shared) > 0.9


def test_chains_have_boxes_and_are_counted_over_the_world(small_world):
    root, chains = small_world / "flickr30k_entities", []
    for split in ("train", "val", "test"):
        for name in read_split(root / f"{split}.txt"):
            text = (root / f"Sentences/{name}.txt").read_text()
            assert len(text.splitlines()) == 5
            mentioned = {int(number) for number, _, _ in MARK.findall(text)} - {0}
            named = ElementTree.parse(root / f"Annotations/{name}.xml").getroot().iter("name")
            assert {int(element.text) for element in named} == mentioned
            chains += sorted(mentioned)
    assert len(set(chains)) == len(chains)


def test_our_reader_takes_everything(small_world):
    root = small_world / "flickr30k_entities"
    for name in read_split(root / "train.txt"):
        assert len(read_sentences(root / f"Sentences/{name}.txt")) == 5
        read_annotation(root / f"Annotations/{name}.xml")
