"""NLVR2 of the world: true labels, nothing in the sentence alone, official json lines."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest

from mmf_visualbert.sampleworld.nlvr2 import PAIRS, SHARES, make_set, statements
from mmf_visualbert.sampleworld.scene import Scene, Thing
from mmf_visualbert.tasks.nlvr2.records import consistency_group, read_nlvr2


def thing(color: str, shape: str, x: float) -> Thing:
    return Thing(shape, color, "small", x, 60.0, 9.0, 0.0, (0, 0, 0))


@pytest.fixture
def lines(small_world):
    return {
        split: [json.loads(line) for line in (small_world / f"nlvr2/{split}.json").read_text().splitlines()]
        for split in ("train", "dev", "test1", "test2")
    }


def test_statements_by_hand():
    left = Scene(160, 120, (thing("red", "star", 20), thing("red", "star", 60), thing("blue", "cross", 100)), 0)
    right = Scene(160, 120, (thing("red", "star", 20), thing("green", "cross", 60)), 0)
    told = {text: truth for _, text, truth in statements(left, right)}
    for text, truth in {
        "The left image contains a blue cross.": True,
        "The right image contains a blue cross.": False,
        "Both images contain a red star.": True,
        "Only one of the images contains a red star.": False,
        "Only one of the images contains a green cross.": True,
        "At least one of the images contains a green cross.": True,
        "The left image contains exactly two stars.": True,
        "There are three stars in total.": True,
        "There are four stars in total.": False,
        "There are no blue objects in the right image.": True,
        "There are more stars in the left image than in the right image.": True,
        "There are more crosses in the right image than in the left image.": False,
    }.items():
        assert told[text] is truth, text


def test_every_sentence_is_true_of_half_its_pairs():
    kinds = Counter()
    for index in range(40):
        made = make_set(np.random.default_rng(index), 10)
        assert len(set(made.sentences)) == 10
        kind_of = {text: kind for kind, text, _ in statements(*made.pairs[0])}
        for text, labels in zip(made.sentences, made.labels, strict=True):
            assert sum(labels) == PAIRS / 2
            assert labels == [
                next(truth for _, told, truth in statements(*pair) if told == text) for pair in made.pairs
            ]
            kinds[kind_of[text]] += 1
    assert set(kinds) == set(SHARES) and kinds["side"] > kinds["count"]


def test_labels_are_half_true_and_the_sentence_tells_nothing(lines):
    for several in lines.values():
        assert Counter(line["label"] for line in several)["True"] * 2 == len(several)
        by_set = defaultdict(Counter)
        for line in several:
            by_set[line["sentence"], line["identifier"].split("-")[1]][line["label"]] += 1
        assert all(counter["True"] == counter["False"] == 2 for counter in by_set.values())


def test_groups_of_consistency_have_one_sentence_over_four_pairs(lines):
    groups = defaultdict(list)
    for line in lines["dev"]:
        groups[consistency_group(line["identifier"])].append(line)
    for group in groups.values():
        assert len(group) == PAIRS and len({line["sentence"] for line in group}) == 1


def test_our_reader_takes_every_split(small_world, lines):
    for split, several in lines.items():
        assert len(read_nlvr2([small_world / f"nlvr2/{split}.json"])) == len(several)
