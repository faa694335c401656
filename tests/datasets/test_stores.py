"""What a configuration expects of its feature stores."""

import lmdb
import numpy as np
import pytest

from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.tasks.nlvr2.settings import Settings


def write(path, detector="pythia_x152", layer="fc6"):
    info = StoreInfo(detector=detector, dimension=4, regions=3, layer=layer)
    with FeatureStoreWriter(path, info) as writer:
        writer.add(path.stem, RegionRecord(np.ones((2, 4), np.float16)))
    return path.name


def config(folder, *names, expected=None):
    given = {"data_dir": str(folder), "features": {"train": list(names)}, "features_from": expected}
    return read_settings(Settings, given, "dataset_config.visualbert_nlvr2")


@pytest.mark.parametrize(
    "expected", [None, "pythia_x152", {"detector": "pythia_x152", "layer": "fc6"}, {"dimension": 4, "layer": None}]
)
def test_what_fits_is_read(tmp_path, expected):
    names = [write(tmp_path / f"{name}.lmdb") for name in ("a", "b")]
    assert sorted(configured_store(config(tmp_path, *names, expected=expected), "train").keys()) == ["a", "b"]


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("pythia_x101", r"b\.lmdb: .*its detector is 'pythia_x152' where 'pythia_x101' is expected"),
        ({"layer": "res5", "dimension": 2048}, r"its layer is 'fc6' where 'res5'.*its dimension is 4 where 2048"),
        ({"detektor": "pythia_x152"}, "'detektor' is nothing a feature store states; it states .*detector"),
        (7, r"features_from is 7; set it to a detector's name"),
        ("", r"features_from is ''; set it"),
        ({}, r"features_from is \{\}; set it"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, expected, message):
    with pytest.raises(InputError, match=message):
        configured_store(config(tmp_path, write(tmp_path / "b.lmdb"), expected=expected), "train")


def test_a_store_that_says_nothing_is_refused_where_something_is_expected(tmp_path):
    environment = lmdb.open(str(tmp_path / "mmf"), map_size=1 << 20)
    environment.close()
    assert configured_store(config(tmp_path, "mmf"), "train").info is None
    with pytest.raises(InputError, match=r"mmf does not say whose features it holds and detector=pythia_x152"):
        configured_store(config(tmp_path, "mmf", expected="pythia_x152"), "train")


def test_stores_of_two_detectors_are_refused_in_any_case(tmp_path):
    names = [write(tmp_path / "a.lmdb"), write(tmp_path / "b.lmdb", "pythia_x101")]
    with pytest.raises(InputError, match=r"b\.lmdb and .*a\.lmdb cannot be read as one"):
        configured_store(config(tmp_path, *names), "train")
