"""Checking, merging, describing and comparing stores, by the command line too."""

import importlib.util
import json
import pickle
from pathlib import Path

import lmdb
import numpy as np
import pytest

from mmf_visualbert import coverage
from mmf_visualbert.errors import InputError
from mmf_visualbert.features import maintenance, stating
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo, shard_name

INFO = StoreInfo("toy", 8, 5)


def record(seed: int, regions: int = 4) -> RegionRecord:
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 40, (regions, 2))
    boxes = np.concatenate([corner, corner + 20], 1).astype(np.float32)
    return RegionRecord(generator.normal(size=(regions, 8)).astype(np.float32), boxes, 64, 64)


def build(path: Path, keys: dict[str, int], info: StoreInfo = INFO, dtype: str = "float32") -> str:
    with FeatureStoreWriter(path, info, dtype) as writer:
        for key, seed in keys.items():
            writer.add(key, record(seed))
    return str(path)


def edit(path: str, changes: dict[bytes, bytes | None]) -> None:
    environment = lmdb.open(path, subdir=False, map_size=1 << 30)
    with environment, environment.begin(write=True) as transaction:
        for key, value in changes.items():
            transaction.delete(key) if value is None else transaction.put(key, value)


def raw(path: str, key: bytes) -> bytes:
    environment = lmdb.open(path, subdir=False, readonly=True, lock=False)
    with environment, environment.begin() as transaction:
        return transaction.get(key)


def command(*arguments: str) -> int:
    path = Path(__file__).parents[2] / "tools" / "feature_store.py"
    spec = importlib.util.spec_from_file_location("feature_store_tool", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(list(arguments))


def test_a_good_store_has_no_fault(tmp_path):
    assert list(maintenance.check([build(tmp_path / "a.lmdb", {"a": 1, "b": 2})])) == []


def test_every_fault_is_found(tmp_path):
    path = build(tmp_path / "a.lmdb", {name: place for place, name in enumerate("abcdef")})
    good = raw(path, b"a")
    place = good.index(np.float32(record(0).features[0, 0]).tobytes())
    broken = bytearray(good)
    broken[place : place + 4] = np.float32("nan").tobytes()
    wide = pickle.dumps({"feature_path": "c", "features": np.ones((2, 9), np.float32)})
    many = pickle.dumps({"feature_path": "d", "features": np.ones((6, 8), np.float32)})
    outside = {"feature_path": "e", "features": np.ones((1, 8), np.float32), "image_width": 10, "image_height": 10}
    outside = pickle.dumps(outside | {"bbox": np.array([[0, 0, 20, 5]], np.float32)})
    differs = bytearray(raw(path, b"f"))
    at = 4 + differs[4:].index(b"VBREGION") + 8 + 2 + 2 + 8  # the width in the header
    differs[at : at + 4] = (99).to_bytes(4, "little")
    edit(
        path, {b"a": bytes(broken), b"b": good, b"c": wide, b"d": many, b"e": outside, b"f": bytes(differs), b"g": good}
    )
    faults = list(maintenance.check([path]))
    for words in (
        *("'a' has features that are not finite", "'b' has this: it belongs to the image 'a'"),
        *("'c' has features of dimension 9", "'d' has 6 regions", "'e' has boxes outside", "'f' has another width"),
        "lists 6 keys",
    ):
        assert any(words in fault for fault in faults), (words, faults)


def test_a_store_that_mmf_cannot_read_or_would_confuse(tmp_path):
    path = build(tmp_path / "a.lmdb", {"a_1": 1, "b": 2})
    renamed = raw(path, b"b")
    edit(path, {b"keys": None, b"1": renamed})
    faults = list(maintenance.check([path]))
    assert any("no list of keys" in fault for fault in faults)
    assert any("record '1' for the image 'a_1'" in fault for fault in faults)


def test_coverage_of_annotation_files(tmp_path, shared):
    data = shared / "realdata"
    questions = next((data / "vqa2" / "val100").glob("*questions*"))
    keys = coverage.expected_keys(str(questions))
    assert keys[0].startswith("COCO_val2014_000000") and len(keys) == len(set(keys))
    pairs = coverage.expected_keys(str(data / "nlvr2" / "dev.json"))
    assert pairs[:2] == ["dev-850-0-img0", "dev-850-0-img1"] or pairs[0].endswith("-img0")
    assert len(coverage.expected_keys(str(data / "flickr30k_entities" / "val.txt"))) == 1000
    assert coverage.expected_keys(str(data / "coco_captions" / "captions_train2017.json"))
    assert coverage.expected_keys(str(data / "vcr" / "val.jsonl"))
    path = build(tmp_path / "a.lmdb", {key: 1 for key in keys[1:]})
    (fault,) = maintenance.check([path], covers={str(questions): coverage.expected_keys(str(questions))})
    assert f"1 images of {questions} are missing, the first is '{keys[0]}'" == fault
    (tmp_path / "x.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(InputError, match=r"x\.json is no annotation file"):
        coverage.expected_keys(str(tmp_path / "x.json"))


def test_shards_merge_into_one_file(tmp_path):
    (tmp_path / "shards").mkdir()
    for index in range(3):
        build(tmp_path / "shards" / shard_name(index, 3), {f"image{index}": index, "shared": 9})
    written = maintenance.merge([str(tmp_path / "shards")], tmp_path / "all.lmdb")
    assert written == (4, 0, 2)
    merged = FeatureStore(tmp_path / "all.lmdb")
    assert np.array_equal(merged.read("image2").features, record(2).features) and merged.info.detector == "toy"
    assert list(maintenance.check([str(tmp_path / "all.lmdb")])) == []


def test_stores_of_two_detectors_do_not_merge(tmp_path):
    paths = [build(tmp_path / "a.lmdb", {"a": 1}), build(tmp_path / "b.lmdb", {"b": 1}, StoreInfo("other", 8, 5))]
    with pytest.raises(InputError, match="cannot be read as one"):
        maintenance.merge(paths, tmp_path / "c.lmdb")


def test_a_silent_store_can_be_told_whose_it_is(tmp_path):
    path = tmp_path / "m.lmdb"
    environment = lmdb.open(str(path), map_size=1 << 24)
    with environment, environment.begin(write=True) as transaction:
        transaction.put(b"a", pickle.dumps({"feature_path": "a", "features": record(0).features}))
        transaction.put(b"keys", pickle.dumps([b"a"]))
    with pytest.raises(InputError, match="state its detector"):
        stating.state(str(path), {"layer": "fc6"})
    with pytest.raises(InputError, match="'colour' cannot be set"):
        stating.state(str(path), {"colour": "red"})
    with pytest.raises(InputError, match="whole number"):
        stating.state(str(path), {"detector": "toy", "regions": "many"})
    info = stating.state(str(path), {"detector": "toy", "regions": "100"})
    assert (info.dimension, info.regions, info.dtype) == (8, 100, "float32")
    store = FeatureStore(path)
    store.require(detector="toy", dimension=8)
    assert list(store.keys()) == ["a"] and list(maintenance.check([str(path)])) == []


def test_features_extracted_again_are_compared_box_by_box(tmp_path):
    mine = build(tmp_path / "a.lmdb", {"a": 1, "b": 2, "mine": 3})
    same = build(tmp_path / "b.lmdb", {"a": 1, "b": 2}, dtype="float16")
    found = maintenance.compare(mine, same)
    assert found.images == 2 and found.matched == 1.0 and found.low_cosine > 0.9999
    other = build(tmp_path / "c.lmdb", {"a": 5, "b": 6})
    assert maintenance.compare(mine, other).matched < 0.5
    with pytest.raises(InputError, match="no image in common"):
        maintenance.compare(mine, build(tmp_path / "d.lmdb", {"z": 1}))


def test_the_command_line(tmp_path, shared, capsys):
    source = shared / "realdata" / "features" / "train2014_obj36.tsv"
    out = str(tmp_path / "a.lmdb")
    arguments = ["convert", "--quiet", "--from", "lxmert_tsv", str(source), "--out", out, "--detector", "bottom_up"]
    assert command(*arguments) == 0 and "10 images" in capsys.readouterr().out
    assert command("info", out) == 0
    assert "detector       bottom_up" in capsys.readouterr().out
    assert command("check", "--quiet", out, "--against", str(source.with_suffix(".lmdb"))) == 0
    printed = capsys.readouterr().out
    assert "10 records checked, 0 faults" in printed and "100.0% of regions" in printed
    assert command("merge", "--quiet", out, "--out", str(tmp_path / "b.lmdb"), "--dtype", "float32") == 0
    assert FeatureStore(tmp_path / "b.lmdb").info.dtype == "float32"
    flickr = str(shared / "realdata" / "flickr30k_entities" / "val.txt")
    assert command("check", "--quiet", out, "--covers", flickr) == 1
    assert command("info", str(tmp_path / "none.lmdb")) == 2
    assert capsys.readouterr().err.count("\n") == 1
