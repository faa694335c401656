"""From an image's key to its region tensors."""

import numpy as np
import pytest

from mmf_visualbert.contracts import RegionQuery
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
