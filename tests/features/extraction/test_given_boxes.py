"""Boxes that are given: from files, from beside the image, from a store."""

import json

import numpy as np
import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction.given_boxes import check_boxes, given_boxes
from mmf_visualbert.features.extraction.images import ImageFile, Size
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo

BOXES = np.array([[0, 0, 5, 5], [1, 2, 3, 4]], np.float32)
IMAGE = ImageFile("sub/a", "")


def test_boxes_of_all_sources_are_the_same(tmp_path):
    (tmp_path / "b.json").write_text(json.dumps({"sub/a": BOXES.tolist()}))
    (tmp_path / "b.jsonl").write_text(
        json.dumps({"image": "sub/a", "boxes": [[*box, 0.9] for box in BOXES.tolist()]}) + "\n"
    )
    (tmp_path / "a.json").write_text(json.dumps({"boxes": BOXES.tolist(), "names": ["x", "y"]}))
    with FeatureStoreWriter(tmp_path / "b.lmdb", StoreInfo("t", 3, 2)) as writer:
        writer.add("sub/a", RegionRecord(np.zeros((2, 3), np.float32), BOXES, 9, 9))
    for name in ("b.json", "b.jsonl", "b.lmdb"):
        assert np.array_equal(given_boxes(str(tmp_path / name))(IMAGE), BOXES)
    assert np.array_equal(given_boxes("beside")(ImageFile("a", str(tmp_path / "a.jpg"))), BOXES)


def test_vcrs_metadata_is_read(shared):
    folder = shared / "realdata" / "vcr" / "vcr1images"
    metadata = next(folder.rglob("*.json"))
    content = json.loads(metadata.read_text())
    boxes = given_boxes("beside")(ImageFile("x", str(metadata.with_suffix(".jpg"))))
    assert np.allclose(boxes, np.array(content["boxes"])[:, :4])
    check_boxes(boxes, Size(content["width"], content["height"]), "it")


def test_missing_and_wrong_boxes_are_named(tmp_path):
    (tmp_path / "b.json").write_text(json.dumps({"a": [], "b": [[1, 2, 3]], "c": 7}))
    source = given_boxes(str(tmp_path / "b.json"))
    for key, words in (
        ("d", "no boxes for the image 'd'"),
        ("a", "no box"),
        ("b", "list of length >= 4"),
        ("c", "a list is expected"),
    ):
        with pytest.raises(InputError, match=words):
            source(ImageFile(key, ""))
    with pytest.raises(InputError, match=r"x\.json does not exist"):
        given_boxes("beside")(ImageFile("x", str(tmp_path / "x.jpg")))
    (tmp_path / "junk.json").write_text("{")
    for name, words in (("junk.json", "junk.json is truncated"), ("none.json", "none.json does not exist")):
        with pytest.raises(InputError, match=words):
            given_boxes(str(tmp_path / name))
    with pytest.raises(InputError, match="no feature store"):
        given_boxes(str(tmp_path / "none.lmdb"))


@pytest.mark.parametrize("box", [[-1, 0, 5, 5], [0, 0, 11, 5], [0, 0, 5, 9], [5, 0, 4, 5], [0, 0, float("nan"), 5]])
def test_boxes_outside_the_image_are_refused(box):
    with pytest.raises(InputError, match=r"box 1 of the image 'a' .* 10 x 8"):
        check_boxes(np.array([[0, 0, 10, 8], box], np.float32), Size(10, 8), "the image 'a'")
    check_boxes(np.array([[0, 0, 10.4, 8]], np.float32), Size(10, 8), "x")
