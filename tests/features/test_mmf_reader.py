"""MMF's own reader on our stores."""

import shutil

import numpy as np
import pytest
import torch

from mmf_visualbert.features.conversion import Conversion, convert
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo

readers = pytest.importorskip("mmf.datasets.databases.readers.feature_readers", reason="MMF is not installed")


def record(seed: int, regions: int) -> RegionRecord:
    generator = np.random.default_rng(seed)
    boxes = np.tile(np.array([1, 2, 30, 40], np.float32), (regions, 1))
    features = generator.normal(size=(regions, 64)).astype(np.float32)
    return RegionRecord(features, boxes, 640, 480, class_ids=np.arange(regions))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("as_folder", [False, True])
def test_mmf_reads_our_store(tmp_path, dtype, as_folder):
    path = tmp_path / "a.lmdb"
    with FeatureStoreWriter(path, StoreInfo("toy", 64, 12), dtype) as writer:
        for name, regions in (("COCO_val2014_000000000042", 7), ("sub/image", 12), ("sub/image_042", 1)):
            writer.add(name, record(regions, regions))
    if as_folder:  # what MMF's own conversion leaves
        (tmp_path / "b.lmdb").mkdir()
        path = path.rename(tmp_path / "b.lmdb" / "data.mdb").parent
    reader = readers.FeatureReader(base_path=str(path), depth_first=False, max_features=10)
    for name, regions in (("COCO_val2014_000000000042", 7), ("sub/image", 12), ("sub/image_042", 1)):
        features, info = reader.read(f"{name}.npy")
        expected = record(regions, regions)
        kept = min(regions, 10)
        assert features.dtype == torch.float32 and features.shape == (10, 64)
        assert np.array_equal(features[:kept].numpy(), expected.features[:kept].astype(dtype).astype(np.float32))
        assert not features[kept:].any()
        assert info["max_features"] == regions and info["image_width"] == 640 and info["image_height"] == 480
        assert np.array_equal(info["bbox"], expected.boxes) and np.array_equal(info["objects"], expected.class_ids)


def test_mmf_reads_the_real_features_that_we_converted(tmp_path, shared):
    folder = tmp_path / "features"
    shutil.copytree(shared / "realdata" / "features", folder)  # LMDB opens a file once a process, and other tests do
    about = {"detector": "bottom_up"}
    settings = Conversion("lxmert_tsv", about, dtype="float32")
    convert(str(folder / "train2014_obj36.tsv"), tmp_path / "a.lmdb", settings)
    ours = readers.FeatureReader(base_path=str(tmp_path / "a.lmdb"), depth_first=False, max_features=36)
    theirs = readers.FeatureReader(base_path=str(folder / "train2014_obj36.lmdb"), depth_first=False, max_features=36)
    for name in ("COCO_train2014_000000132417", "COCO_train2014_000000573195"):
        (features, info), (expected, expected_info) = ours.read(f"{name}.npy"), theirs.read(f"{name}.npy")
        assert torch.equal(features, expected)
        for field in ("bbox", "objects", "num_boxes", "image_width", "image_height", "feature_path"):
            assert np.array_equal(info[field], expected_info[field]), field
