"""From an image's key to its region tensors."""

import pickle

import lmdb
import numpy as np
import pytest
import torch

from mmf_visualbert.contracts import RegionQuery
from mmf_visualbert.datasets.pairs import join_images
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.processors.regions import RegionFeatures


@pytest.fixture
def store(tmp_path):
    info = StoreInfo(detector="test", dimension=4, regions=3)
    with FeatureStoreWriter(tmp_path / "a.lmdb", info, dtype="float32") as writer:
        for name, value in (("one", 1), ("two", 2)):
            writer.add(name, RegionRecord(np.full((2, 4), value, dtype=np.float32)))
    return FeatureStore(tmp_path / "a.lmdb")


def test_tensors_and_record(store):
    regions = ImageRegions(store, RegionFeatures(max_regions=3, dimension=4))
    tensors = regions.tensors(RegionQuery("two", "question 2"))
    assert tensors["region_features"].tolist() == [[2] * 4, [2] * 4, [0] * 4]
    assert regions.record("one").features.tolist() == [[1] * 4] * 2


def test_check_names_the_record_the_store_and_how_many(store):
    regions = ImageRegions(store, RegionFeatures(max_regions=3, dimension=4))
    regions.check([RegionQuery("one", "question 1"), RegionQuery("two", "question 2")])
    regions.check([])
    with pytest.raises(InputError, match=r"question 7 in q\.json .*'three' and 1 more of 3 images.*a\.lmdb"):
        regions.check(
            [
                RegionQuery("one", "x"),
                RegionQuery("three", "question 7 in q.json"),
                RegionQuery("three", "question 8"),
                RegionQuery("four", "question 9"),
            ]
        )


def test_check_finds_another_dimension_before_training(store):
    regions = ImageRegions(store, RegionFeatures(max_regions=3, dimension=2048))
    with pytest.raises(InputError, match=r"one in .*a\.lmdb.* dimension 4.*2048"):
        regions.check([RegionQuery("one", "question 1")])


def test_check_finds_images_without_regions_before_training(tmp_path):
    """MMF's scripts write a record without regions where the detector found nothing."""
    with lmdb.open(str(tmp_path / "mmf.lmdb"), subdir=False) as environment, environment.begin(write=True) as writer:
        for name, count in (("full", 2), ("bare", 0)):
            features = np.ones((count, 4), np.float32)
            writer.put(name.encode(), pickle.dumps({"features": features, "feature_path": name}))
    regions = ImageRegions(FeatureStore(tmp_path / "mmf.lmdb"), RegionFeatures(max_regions=3, dimension=4))
    regions.check([RegionQuery("full", "question 1")])
    with pytest.raises(InputError, match=r"question 2 is about an image without regions: in 'bare' and 0 more of 2"):
        regions.check([RegionQuery("full", "question 1"), RegionQuery("bare", "question 2")])


NUMBERS = np.array([[1, 1, 4, 4], [2, 2, 8, 8]], np.float32)
BOXES = {
    "numbers that are not finite": NUMBERS * [[1], [np.nan]],
    "outside the image of 10 x 10": NUMBERS + 1e30,
    "a right or lower edge before the left": NUMBERS[:, ::-1],
    r"boxes of shape \(1, 4\) beside 2 regions": NUMBERS[:1],
    r"boxes of shape \(2, 3\)": NUMBERS[:, :3],
}


@pytest.mark.parametrize("said", BOXES)
def test_boxes_that_are_none_are_refused_where_they_are_read(tmp_path, said):
    with lmdb.open(str(tmp_path / "mmf.lmdb"), subdir=False) as environment, environment.begin(write=True) as writer:
        sizes = {"image_width": 10, "image_height": 10}
        record = {"features": np.ones((2, 4), np.float32), "feature_path": "x", "bbox": BOXES[said], **sizes}
        writer.put(b"x", pickle.dumps(record))
    with pytest.raises(InputError, match=rf"mmf\.lmdb, record 'x' has .*{said}"):
        ImageRegions(FeatureStore(tmp_path / "mmf.lmdb"), RegionFeatures(3, 4, geometry=True)).tensors("x")


D = 5
COUNTS = {"few": 2, "exact": 4, "many": 7}


def write(path, dtype, counts=COUNTS):
    """A store of ours with features, boxes and sizes of every kind of image."""
    with FeatureStoreWriter(path, StoreInfo(detector="test", dimension=D, regions=9), dtype=dtype) as writer:
        for place, (key, count) in enumerate(counts.items()):
            features = np.random.default_rng(place).normal(size=(count, D)).astype(np.float32)
            boxes = np.tile(np.array([[1, 2, 5, 10]], np.float32), (count, 1))
            writer.add(key, RegionRecord(features, boxes, 10, 20))
    return path


def write_mmf(path, counts=COUNTS, value=None):
    """A store as MMF's script writes it; `value` is put into the last feature of each image."""
    environment = lmdb.open(str(path), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for place, (key, count) in enumerate(counts.items()):
            features = np.random.default_rng(place).normal(size=(count, D)).astype(np.float32)
            if value is not None:
                features[-1, -1] = value
            boxes = np.tile(np.array([[1, 2, 5, 10]], np.float32), (count, 1))
            item = {"features": features, "bbox": boxes, "image_width": 10, "image_height": 20, "feature_path": key}
            transaction.put(key.encode(), pickle.dumps(item))
    environment.close()
    return path


def queries(*keys):
    return [RegionQuery(key, "a test") for key in keys]


def same(given, expected):
    """Whether two samples are alike to the bit, types too."""
    assert given.keys() == expected.keys()
    for name, value in expected.items():
        assert given[name].dtype == value.dtype and torch.equal(given[name], value), name


@pytest.mark.parametrize("geometry", [False, True])
@pytest.mark.parametrize("kind", ["float16", "float32", "mmf", "mixed"])
def test_one_copy_gives_what_whole_records_give(tmp_path, kind, geometry):
    if kind == "mmf":
        paths = [write_mmf(tmp_path / "mmf")]
    elif kind == "mixed":
        halves = ({"few": 2}, {"exact": 4, "many": 7})
        paths = [write(tmp_path / f"{i}.lmdb", f"float{16 * (i + 1)}", counts) for i, counts in enumerate(halves)]
    else:
        paths = [write(tmp_path / "a.lmdb", kind)]
    regions = ImageRegions(FeatureStore(paths), RegionFeatures(4, D, geometry))
    for key in COUNTS:
        same(regions.tensors(RegionQuery(key, "a test")), regions.sequence_of_records([key]))
        for other in COUNTS:
            same(regions.sequence(queries(key, other)), regions.sequence_of_records([key, other]))
    three = regions.sequence(queries("few", "many", "exact"))
    same(three, regions.sequence_of_records(["few", "many", "exact"]))
    assert three["region_segments"].tolist() == [0] * 2 + [1] * 4 + [2] * 4 + [0] * 2
    assert three["region_mask"].tolist() == [True] * 10 + [False] * 2


def test_joining_one_image_changes_nothing(tmp_path):
    regions = ImageRegions(FeatureStore(write(tmp_path / "a.lmdb", "float16")), RegionFeatures(4, D))
    one = regions.tensors(RegionQuery("few", "a test"))
    same(join_images(one), one)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_features_that_are_no_numbers_are_refused_by_name(tmp_path, value):
    regions = ImageRegions(FeatureStore(write_mmf(tmp_path / "mmf", value=value)), RegionFeatures(9, D))
    with pytest.raises(InputError, match="'few' contain NaN or infinity"):
        regions.tensors(RegionQuery("few", "a test"))
    with pytest.raises(InputError, match="'many' contain NaN or infinity"):
        regions.sequence(queries("many", "few"))


def test_an_image_without_regions_and_one_of_another_dimension_are_refused(tmp_path):
    store = FeatureStore(write_mmf(tmp_path / "mmf", {"none": 0, "some": 2}))
    with pytest.raises(InputError, match="'none' has no region"):
        ImageRegions(store, RegionFeatures(4, D)).sequence(queries("some", "none"))
    with pytest.raises(InputError, match=r"record 'some' has features of dimension 5 and 7 is"):
        ImageRegions(store, RegionFeatures(4, 7)).tensors(RegionQuery("some", "a test"))
