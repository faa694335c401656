"""Other people's formats, real records where there are some and written as documented where not."""

import base64
import io
import json
import pickle

import lmdb
import numpy as np
import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.features import conversion
from mmf_visualbert.features.conversion import Conversion, Written
from mmf_visualbert.features.converters import FORMATS, KeyPattern
from mmf_visualbert.features.store import FeatureStore

ABOUT = {"detector": "toy"}


def convert(source, form, out, about, **settings) -> Written:
    return conversion.convert(source, out, Conversion(form, about, **settings)).written


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def regions(count: int = 3, dimension: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(count)
    corner = generator.uniform(0, 20, (count, 2))
    boxes = np.concatenate([corner, corner + 9], 1).astype(np.float32)
    return generator.normal(size=(count, dimension)).astype(np.float32), boxes


def test_the_real_tsv_is_what_mmfs_conversion_made_of_it(tmp_path, shared):
    folder = shared / "realdata" / "features"
    written = convert(str(folder / "train2014_obj36.tsv"), "lxmert_tsv", tmp_path / "a.lmdb", ABOUT, dtype="float32")
    assert written == (10, 0, 0)
    ours, theirs = FeatureStore(tmp_path / "a.lmdb"), FeatureStore(folder / "train2014_obj36.lmdb")
    assert sorted(ours.keys()) == sorted(theirs.keys())
    for key in theirs.keys():
        found, expected = ours.read(key), theirs.read(key)
        assert np.array_equal(found.features, expected.features) and np.array_equal(found.boxes, expected.boxes)
        assert np.array_equal(found.class_ids, expected.class_ids)
        assert (found.width, found.height) == (expected.width, expected.height)
        assert found.scores.shape == found.attribute_ids.shape == found.attribute_scores.shape == (36,)
    assert (ours.info.dimension, ours.info.regions, ours.info.dtype) == (2048, 36, "float32")


def test_mmfs_lmdb_converts_to_half_precision(tmp_path, shared):
    source = shared / "realdata" / "features" / "train2014_obj36.lmdb"
    convert(str(source), "mmf", tmp_path / "a.lmdb", ABOUT)
    key = next(FeatureStore(source).keys())
    found, expected = FeatureStore(tmp_path / "a.lmdb").read(key), FeatureStore(source).read(key)
    assert np.array_equal(found.features, expected.features.astype(np.float16))


def test_bottom_up_tsv_with_numbers_for_ids(tmp_path):
    features, boxes = regions()
    line = "\t".join(["42", "40", "30", "3", encoded(boxes), encoded(features)])
    (tmp_path / "a.tsv").write_text(line + "\n")
    convert(str(tmp_path / "a.tsv"), "bottom_up_tsv", tmp_path / "a.lmdb", ABOUT, keys="COCO_val2014_{id:012d}")
    record = FeatureStore(tmp_path / "a.lmdb").read("COCO_val2014_000000000042")
    assert np.array_equal(record.boxes, boxes) and (record.width, record.height) == (40, 30)
    assert np.array_equal(record.features, features.astype(np.float16))


def test_faults_in_a_tsv_are_named_by_line(tmp_path):
    features, boxes = regions()
    good = ["42", "40", "30", "3", encoded(boxes), encoded(features)]
    cases = {
        "columns": good[:-1],
        "whole number": [*good[:1], "wide", *good[2:]],
        "base64": [*good[:5], "@@@@"],
        "3 rows": [*good[:5], encoded(features.ravel()[:7])],
        "outside the image": [*good[:1], "12", *good[2:]],
    }
    for words, row in cases.items():
        (tmp_path / "a.tsv").write_text("\t".join(["41", *good[1:]]) + "\n" + "\t".join(row) + "\n")
        with pytest.raises(InputError, match=words):
            convert(str(tmp_path / "a.tsv"), "bottom_up_tsv", tmp_path / "a.lmdb", ABOUT)
        assert not (tmp_path / "a.lmdb").exists() and not (tmp_path / "a.lmdb.partial").exists()
    (tmp_path / "empty.tsv").write_text("")
    for name in ("empty", "none"):
        with pytest.raises(InputError, match=f"{name}.tsv"):
            convert(str(tmp_path / f"{name}.tsv"), "bottom_up_tsv", tmp_path / "a.lmdb", ABOUT)


def test_npy_folders_of_all_kinds(tmp_path, shared):
    features, boxes = regions()
    folder = tmp_path / "npy"
    (folder / "sub").mkdir(parents=True)
    np.save(folder / "sub" / "a.npy", features)
    info = {"bbox": boxes, "num_boxes": 3, "objects": np.arange(3), "image_width": 40, "image_height": 30}
    np.save(folder / "sub" / "a_info.npy", info | {"cls_prob": np.ones((3, 7), np.float32), "image_id": "a"})
    np.save(folder / "b.npy", np.array({"image_feat": features, "image_bboxes": boxes}, dtype=object))
    np.save(folder / "c.npy", features.reshape(1, 3, 5))
    convert(str(folder), "npy", tmp_path / "a.lmdb", ABOUT, dtype="float32")
    store = FeatureStore(tmp_path / "a.lmdb")
    assert list(store.keys()) == ["b", "c", "sub/a"]
    assert all(np.array_equal(store.read(key).features, features) for key in store.keys())
    assert np.array_equal(store.read("sub/a").boxes, boxes) and np.array_equal(store.read("b").boxes, boxes)
    assert store.read("sub/a").width == 40 and store.read("sub/a").scores is None and store.read("c").boxes is None
    real = tmp_path / "real"
    real.mkdir()
    (real / "x.npy").write_bytes((shared / "realdata" / "features" / "mmf_pr_detectron_100x2048.npy").read_bytes())
    assert convert(str(real), "npy", tmp_path / "r.lmdb", ABOUT).without_boxes == 1
    assert FeatureStore(tmp_path / "r.lmdb").read("x").features.shape == (100, 2048)
    with pytest.raises(InputError, match=r"holds no \.npy"):
        convert(str(tmp_path / "a.lmdb"), "npy", tmp_path / "b.lmdb", ABOUT)


def test_ban_hdf5_adaptive_and_fixed(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    first, second = regions(2), regions(4)
    sizes = [(40, 30), (64, 50)]
    for name, adaptive in (("val", True), ("test36", False)):
        parts = (first, second) if adaptive else (second, second)
        boxes = [part[1] for part in parts]
        fractions = [
            np.concatenate([box / np.array([*size, *size]), (box[:, 2:] - box[:, :2]) / np.array(size)], 1)
            for box, size in zip(boxes, sizes, strict=True)
        ]
        join = np.concatenate if adaptive else np.stack
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            file["image_features"] = join([part[0] for part in parts])
            file["image_bb"] = join(boxes)
            file["spatial_features"] = join(fractions).astype(np.float32)
            if adaptive:
                file["pos_boxes"] = np.array([[0, 2], [2, 6]])
        (tmp_path / f"{name}_imgid2idx.pkl").write_bytes(pickle.dumps({36979: 0, 65567: 1}))
        convert(str(tmp_path / f"{name}.hdf5"), "ban_hdf5", tmp_path / "a.lmdb", ABOUT, dtype="float32")
        store = FeatureStore(tmp_path / "a.lmdb")
        for key, part, size in zip(("36979", "65567"), parts, sizes, strict=True):
            record = store.read(key)
            assert np.array_equal(record.features, part[0]) and np.allclose(record.boxes, part[1])
            assert (record.width, record.height) == size


def npz(features: np.ndarray, boxes: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(
        stream, features=features.astype(np.float16), norm_bb=boxes, conf=np.ones(len(boxes), np.float32)
    )
    return stream.getvalue()


def test_uniter_npz_and_lmdb(tmp_path):
    features, boxes = regions()
    fractions = np.concatenate([boxes / np.array([40, 30] * 2), np.zeros((3, 2))], 1).astype(np.float32)
    (tmp_path / "npz").mkdir()
    (tmp_path / "npz" / "coco_val2014_000000000042.npz").write_bytes(npz(features, fractions))
    environment = lmdb.open(str(tmp_path / "feat_compressed"), map_size=1 << 24)
    with environment, environment.begin(write=True) as transaction:
        transaction.put(b"coco_val2014_000000000042.npz", npz(features, fractions))
        transaction.put(b"__keys__", b"[]")
    annotations = {"images": [{"file_name": "COCO_val2014_000000000042.jpg", "width": 40, "height": 30}]}
    (tmp_path / "coco.json").write_text(json.dumps(annotations))
    for source in ("npz", "feat_compressed"):
        settings = dict(keys="COCO_val2014_{id:012d}", sizes=str(tmp_path / "coco.json"))
        convert(str(tmp_path / source), "uniter", tmp_path / "a.lmdb", ABOUT, **settings)
        record = FeatureStore(tmp_path / "a.lmdb").read("COCO_val2014_000000000042")
        assert np.array_equal(record.features, features.astype(np.float16))
        assert np.allclose(record.boxes, boxes, atol=1e-4) and record.width == 40
    assert convert(str(tmp_path / "npz"), "uniter", tmp_path / "b.lmdb", ABOUT).without_boxes == 1


def test_vinvl_predictions_and_features(tmp_path):
    features, boxes = regions(3, 2054)
    objects = [
        {"rect": box.tolist(), "conf": 0.5, "class": "dog", "feature": encoded(feature)}
        for box, feature in zip(boxes, features, strict=True)
    ]
    prediction = {"image_w": 40, "image_h": 30, "num_boxes": 3, "objects": objects}
    (tmp_path / "predictions.tsv").write_text(f"1\t{json.dumps(prediction)}\n")
    (tmp_path / "features.tsv").write_text(f"1\t{json.dumps({'num_boxes': 3, 'features': encoded(features)})}\n")
    for name, has_boxes in (("predictions", True), ("features", False)):
        convert(str(tmp_path / f"{name}.tsv"), "vinvl_tsv", tmp_path / "a.lmdb", ABOUT, dtype="float32")
        record = FeatureStore(tmp_path / "a.lmdb").read("1")
        assert np.array_equal(record.features, features[:, :2048])
        assert (record.boxes is not None) == has_boxes
    (tmp_path / "bad.tsv").write_text("1\t{}\n")
    with pytest.raises(InputError, match=r"bad\.tsv, line 1"):
        convert(str(tmp_path / "bad.tsv"), "vinvl_tsv", tmp_path / "a.lmdb", ABOUT)


def test_key_patterns():
    assert KeyPattern()("a/b") == "a/b"
    assert KeyPattern("COCO_train2014_{id:012d}")("42") == "COCO_train2014_000000000042"
    assert KeyPattern("{id:d}")("COCO_val2014_000000000042") == "42"
    with pytest.raises(InputError, match="ends in no number"):
        KeyPattern("{id:d}")("cat")
    with pytest.raises(InputError, match="has to be like"):
        KeyPattern("{name}")


def test_every_format_refuses_a_path_that_is_not_there(tmp_path):
    for form in FORMATS:
        if form == "ban_hdf5":
            pytest.importorskip("h5py", reason="h5py is not installed")
        with pytest.raises(InputError):
            convert(str(tmp_path / "none"), form, tmp_path / "a.lmdb", ABOUT)
