"""Captions of the world: true, different, official, and of the words that the tasks use."""

import json
from collections import Counter

import numpy as np

from mmf_visualbert.sampleworld.captions import captions_of, karpathy_split
from mmf_visualbert.sampleworld.scene import Scene, Thing
from mmf_visualbert.sampleworld.words import COLORS, NUMBERS, SHAPES, plural
from mmf_visualbert.sampleworld.world import coco_scene
from mmf_visualbert.tasks.captions.records import choose_parts, read_captions


def scenes(number: int) -> list[Scene]:
    return [coco_scene(np.random.default_rng([5, index])) for index in range(number)]


def test_five_different_captions():
    for index, scene in enumerate(scenes(60)):
        told = captions_of(scene, np.random.default_rng(index))
        assert len(told) == len(set(told)) == 5
        assert all(caption[0].isupper() and caption.endswith(".") for caption in told)


def test_captions_are_true():
    """Counted, absent and listed things are checked word by word against the scene."""
    checked = Counter()
    for index, scene in enumerate(scenes(150)):
        for caption in captions_of(scene, np.random.default_rng(index)):
            words = caption.rstrip(".").lower().replace(",", "").split()
            shape = next((s for s in SHAPES if s in words or plural(s) in words), None)
            color = next((c for c in COLORS if c in words), None)
            size = next((s for s in ("small", "large") if s in words), None)
            if words[:3] in (["there", "is", "no"], ["there", "are", "no"]):
                assert not scene.those(color, shape)
                checked["absent"] += 1
            elif words[:2] == ["there", "are"]:
                assert len(scene.those(color, shape, size)) == NUMBERS.index(words[2])
                checked["counted"] += 1
            elif words[0] == "the" and "and" not in words:
                assert [thing.color for thing in scene.those(None, shape, size)] == [words[-1]]
                checked["described"] += 1
    assert min(checked.values()) > 20 and len(checked) == 3


def test_captions_use_the_words_of_the_tasks():
    said = Counter(
        word
        for index, scene in enumerate(scenes(150))
        for caption in captions_of(scene, np.random.default_rng(index))
        for word in caption.lower().rstrip(".").split()
    )
    for word in (*COLORS, *SHAPES, "left", "right", "above", "below", "two", "three", "no", "large", "small"):
        assert said[word] > 5, word


def test_a_scene_without_names_still_has_five_captions():
    twins = tuple(Thing("star", "red", "small", x, 60.0, 9.0, 0.0, (200, 0, 0)) for x in (20.0, 60.0, 100.0))
    assert len(captions_of(Scene(160, 120, twins, 0), np.random.default_rng(0))) == 5


def test_karpathy_file_agrees_with_the_captions(small_world):
    images = json.loads((small_world / "coco/dataset_coco.json").read_text())["images"]
    captions = {
        record["id"]: record
        for split in ("train2014", "val2014")
        for record in json.loads((small_world / f"coco/annotations/captions_{split}.json").read_text())["annotations"]
    }
    for image in images:
        assert image["sentids"] == [sentence["sentid"] for sentence in image["sentences"]]
        for sentence in image["sentences"]:
            record = captions.pop(sentence["sentid"])
            assert (record["image_id"], record["caption"]) == (image["cocoid"], sentence["raw"])
            assert " ".join(sentence["tokens"]) == sentence["raw"].lower().rstrip(".").replace(",", "")
    assert captions == {}
    assert {image["split"] for image in images} == {"train", "val", "test", "restval"}
    assert all(karpathy_split("train2014", position) == "train" for position in range(5))


def test_our_reader_takes_the_karpathy_parts(small_world):
    images = read_captions(
        small_world / f"coco/annotations/captions_{split}.json" for split in ("train2014", "val2014")
    )
    parts = [
        choose_parts(images, small_world / "coco/dataset_coco.json", [part]) for part in ("train", "restval", "val")
    ]
    assert [len(part) for part in parts] == [40, 10, 10]
    assert all(len(image.captions) == 5 for part in parts for image in part)
