"""The store: what is written is read again, by ours and in the way of MMF's reader."""

import multiprocessing
import os
import pickle
import resource
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import lmdb
import numpy as np
import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo, shard_name

DIMENSION = 16
INFO = StoreInfo(detector="toy", dimension=DIMENSION, regions=6, layer="fc6", weights_hash="abc")


def record(seed: int, regions: int = 4, dimension: int = DIMENSION, full: bool = True) -> RegionRecord:
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 50, (regions, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + 10], 1)
    rest = dict(
        class_ids=generator.integers(0, 1600, regions),
        scores=generator.uniform(size=regions).astype(np.float32),
        attribute_ids=generator.integers(0, 400, regions),
        attribute_scores=generator.uniform(size=regions).astype(np.float32),
    )
    features = generator.normal(size=(regions, dimension)).astype(np.float32)
    return RegionRecord(features, boxes, 64, 80, **rest) if full else RegionRecord(features)


def build(path: Path, keys: dict[str, RegionRecord], dtype: str = "float32", info: StoreInfo = INFO) -> FeatureStore:
    with FeatureStoreWriter(path, info, dtype) as writer:
        for key, one in keys.items():
            writer.add(key, one)
    return FeatureStore(str(path))


def same(left: RegionRecord, right: RegionRecord) -> bool:
    return all(
        (one is None and other is None) or (one is not None and other is not None and np.array_equal(one, other))
        for one, other in zip(left, right, strict=True)
    )


def write_foreign(path: Path, records: dict[bytes, bytes]) -> None:
    environment = lmdb.open(str(path), map_size=1 << 26)
    with environment.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key, value)
    environment.close()


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("regions,dimension", [(1, 1), (4, DIMENSION), (100, 2048)])
def test_a_record_comes_back_as_it_was(tmp_path, full, regions, dimension):
    info = StoreInfo("toy", dimension, 100)
    written = record(0, regions, dimension, full)
    store = build(tmp_path / "a.lmdb", {"folder/image_1": written}, info=info)
    assert same(store.read("folder/image_1"), written)
    out = np.ones((101, dimension), np.float32)
    assert store.read_into("folder/image_1", out) == regions
    assert np.array_equal(out[:regions], written.features) and not out[regions:].any()


def test_the_fast_way_and_the_pickle_say_the_same(tmp_path):
    """The header's places and the pickled dict are two descriptions of one record."""
    written = record(1)
    build(tmp_path / "a.lmdb", {"image_1": written}, "float16")
    environment = lmdb.open(str(tmp_path / "a.lmdb"), subdir=False, readonly=True, lock=False)
    with environment, environment.begin() as transaction:
        item = pickle.loads(transaction.get(b"image_1"))
        keys = pickle.loads(transaction.get(b"keys"))
    fast = FeatureStore(tmp_path / "a.lmdb").read("image_1")
    assert keys == [b"image_1"] and item["feature_path"] == "image_1"
    for name, values in zip(
        ("features", "bbox", "objects", "scores"), (fast[0], fast[1], fast[4], fast[5]), strict=True
    ):
        assert item[name].dtype == values.dtype and np.array_equal(item[name], values)
    assert (item["image_width"], item["image_height"], item["num_boxes"]) == (64, 80, 4)


def test_half_precision_rounds_once(tmp_path):
    written = record(2)
    read = build(tmp_path / "a.lmdb", {"a": written}, "float16").read("a")
    assert read.features.dtype == np.float16
    assert np.array_equal(read.features, written.features.astype(np.float16))


def test_large_features_lie_aligned(tmp_path):
    """Records that fill pages of their own begin 16 bytes into a page; features begin at a multiple of 64 there."""
    store = build(
        tmp_path / "a.lmdb", {f"image_{n}": record(n, 100, 128) for n in range(9)}, info=StoreInfo("t", 128, 100)
    )
    assert {store.read(key).features.ctypes.data % 64 for key in store.keys()} == {0}


def test_lists_what_it_holds(tmp_path):
    store = build(tmp_path / "a.lmdb", {"b": record(0), "a": record(1)})
    assert len(store) == 2 and list(store.keys()) == ["a", "b"] and "a" in store
    assert "keys" not in store or list(store.keys()) == ["a", "b"]
    assert "c" not in store and "" not in store


def test_opening_does_not_read_the_list_of_keys(tmp_path):
    """It holds every id: a million of them take MMF's reader seconds and memory at each start."""
    item = {"feature_path": "a", "features": record(0).features}
    write_foreign(tmp_path / "m.lmdb", {b"a": pickle.dumps(item), b"keys": b"no pickle at all"})
    store = FeatureStore(tmp_path / "m.lmdb")
    assert len(store) == 1 and "a" in store and same(store.read("a"), record(0, full=False))


def test_several_stores_are_searched_in_order(tmp_path):
    first, second, other = record(0), record(1), record(2)
    build(tmp_path / "1.lmdb", {"a": first})
    build(tmp_path / "2.lmdb", {"a": second, "b": other})
    store = FeatureStore([tmp_path / "1.lmdb", tmp_path / "2.lmdb"])
    assert same(store.read("a"), first) and same(store.read("b"), other)
    assert store.info.detector == "toy"


def test_stores_of_two_detectors_are_not_read_as_one(tmp_path):
    build(tmp_path / "1.lmdb", {"a": record(0)})
    build(tmp_path / "2.lmdb", {"b": record(0)}, info=StoreInfo("other", DIMENSION, 6))
    with pytest.raises(InputError, match="detector is 'other'"):
        _ = FeatureStore([tmp_path / "1.lmdb", tmp_path / "2.lmdb"]).info


def test_a_folder_of_shards_is_one_store(tmp_path):
    for index in range(3):
        build(tmp_path / shard_name(index, 3), {f"image_{index}": record(index)})
    store = FeatureStore(tmp_path)
    assert len(store) == 3 and same(store.read("image_2"), record(2))
    (tmp_path / shard_name(1, 3)).unlink()
    with pytest.raises(InputError, match="lacks shard-00001-of-00003"):
        FeatureStore(tmp_path).read("image_2")


def test_expectations_are_checked_by_name(tmp_path):
    store = build(tmp_path / "a.lmdb", {"a": record(0)})
    store.require(detector="toy", dimension=DIMENSION, regions=6, layer=None)
    with pytest.raises(
        InputError, match=r"detector is 'toy' where 'pythia_x152' is expected; .*dimension is 16 where 2048"
    ):
        store.require(detector="pythia_x152", dimension=2048)
    with pytest.raises(InputError, match="'colour' is nothing a feature store states"):
        store.require(colour="red")


def test_a_store_that_states_nothing_is_refused_with_the_mend(tmp_path):
    write_foreign(tmp_path / "m.lmdb", {b"a": pickle.dumps({"feature_path": "a", "features": record(0).features})})
    store = FeatureStore(tmp_path / "m.lmdb")
    assert store.info is None
    store.require()
    with pytest.raises(InputError, match=r"info .*--set detector=toy"):
        store.require(detector="toy")


def test_a_newer_version_is_refused(tmp_path):
    raw = INFO.to_json().replace(b'"version": 1', b'"version": 2')
    with pytest.raises(InputError, match=r"version 2 .*update mmf_visualbert"):
        StoreInfo.from_json(raw, "x.lmdb")
    write_foreign(tmp_path / "m.lmdb", {b"__visualbert_store__": raw})
    with pytest.raises(InputError, match=r"m\.lmdb is written in version 2"):
        _ = FeatureStore(tmp_path / "m.lmdb").info


def test_mmf_records_are_read(tmp_path):
    item = {"feature_path": "a_7.npy", "features": record(0).features, "image_width": 64, "image_height": 80}
    item |= {"num_boxes": 4, "bbox": record(0).boxes, "objects": record(0).class_ids, "cls_prob": None}
    write_foreign(tmp_path / "m.lmdb", {b"a_7": pickle.dumps(item), b"keys": pickle.dumps([b"a_7"])})
    read = FeatureStore(tmp_path / "m.lmdb").read("a_7")
    assert same(read, record(0)._replace(scores=None, attribute_ids=None, attribute_scores=None))
    out = np.empty((5, DIMENSION), np.float16)
    assert FeatureStore(tmp_path / "m.lmdb").read_into("a_7", out) == 4
    assert np.array_equal(out[:4], record(0).features.astype(np.float16))


def test_another_images_record_is_refused(tmp_path):
    """MMF's reader gives the record `7` for `zzz_7`, whatever image it is of."""
    seven = pickle.dumps({"feature_path": "yyy_7", "features": record(0).features})
    write_foreign(tmp_path / "m.lmdb", {b"7": seven, b"keys": pickle.dumps([b"7"])})
    with pytest.raises(InputError, match="no features of the image 'zzz_7'; there is a record '7'"):
        FeatureStore(tmp_path / "m.lmdb").read("zzz_7")
    with pytest.raises(InputError, match="belongs to the image 'yyy_7'"):
        FeatureStore(tmp_path / "m.lmdb", bare_numbers=True).read("zzz_7")
    assert FeatureStore(tmp_path / "m.lmdb", bare_numbers=True).read("yyy_7").features.shape == (4, DIMENSION)


def test_our_record_under_a_wrong_key_is_refused(tmp_path):
    store = build(tmp_path / "a.lmdb", {"image_1": record(0)})
    raw = bytes(store.files[0].transaction.get(b"image_1"))
    write_foreign(tmp_path / "b.lmdb", {b"image_2": raw})
    wrong = FeatureStore(tmp_path / "b.lmdb")
    with pytest.raises(InputError, match="record 'image_2' belongs to the image 'image_1'"):
        wrong.read("image_2")
    with pytest.raises(InputError, match="belongs to the image 'image_1'"):
        wrong.read_into("image_2", np.empty((9, DIMENSION), np.float32))


@pytest.mark.parametrize("length", [6, 11, 40, 80, 200, 400])
def test_a_cut_record_is_refused(tmp_path, length):
    store = build(tmp_path / "a.lmdb", {"image_1": record(0)})
    raw = bytes(store.files[0].transaction.get(b"image_1"))
    write_foreign(tmp_path / "b.lmdb", {b"image_1": raw[:length]})
    with pytest.raises(InputError, match=r"b\.lmdb"):
        FeatureStore(tmp_path / "b.lmdb").read("image_1")


def test_a_batch_that_does_not_fit_is_refused(tmp_path):
    store = build(tmp_path / "a.lmdb", {"a": record(0)})
    with pytest.raises(InputError, match="dimension 16 and 8 is expected"):
        store.read_into("a", np.empty((9, 8), np.float32))
    with pytest.raises(InputError, match="4 regions and room is for 3"):
        store.read_into("a", np.empty((3, DIMENSION), np.float32))
    out = np.empty((3, DIMENSION), np.float32)
    assert store.read_into("a", out, cut=True) == 3
    assert np.array_equal(out, record(0).features[:3])


@pytest.mark.parametrize(
    "change,words",
    [
        (dict(features=np.full((4, DIMENSION), np.nan, np.float32)), "not finite"),
        (dict(features=np.full((4, DIMENSION), 1e6, np.float32)), "not finite"),  # too large for float16
        (dict(features=np.zeros((4, 3), np.float32)), "dimension 3"),
        (dict(features=np.zeros((0, DIMENSION), np.float32)), "shape"),
        (dict(boxes=np.zeros((3, 4), np.float32)), "boxes of shape"),
        (dict(boxes=np.array([[0, 0, 65, 10]] * 4, np.float32)), "outside the image of 64 x 80"),
        (dict(boxes=np.array([[5, 0, 4, 10]] * 4, np.float32)), "edge"),
        (dict(scores=np.zeros(5, np.float32)), "scores of shape"),
    ],
)
def test_bad_records_are_refused(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        build(tmp_path / "a.lmdb", {"image_1": record(0)._replace(**change)}, "float16")
    assert not any(tmp_path.iterdir())


def test_too_many_regions_are_refused(tmp_path):
    with pytest.raises(InputError, match="7 regions where the store says at most 6"):
        build(tmp_path / "a.lmdb", {"image_1": record(0, 7)})


@pytest.mark.parametrize("key", ["", "keys", "__visualbert_store__", "a.npy", "/a", "../a", "a//b", "x" * 512])
def test_keys_that_would_not_be_found_again_are_refused(tmp_path, key):
    with pytest.raises(InputError):
        build(tmp_path / "a.lmdb", {key: record(0)})


def test_a_second_image_of_the_same_key_is_refused(tmp_path):
    with FeatureStoreWriter(tmp_path / "a.lmdb", INFO) as writer:
        writer.add("a", record(0))
        with pytest.raises(InputError, match="two images have the key 'a'"):
            writer.add("a", record(1))


def test_keys_that_mmf_would_confuse_are_refused(tmp_path):
    with pytest.raises(InputError, match="record '7' for the image 'zzz_007'"):
        build(tmp_path / "a.lmdb", {"7": record(0), "zzz_007": record(1)})
    assert build(tmp_path / "b.lmdb", {"7": record(0), "zzz_8": record(1)}).read("7") is not None


def test_a_store_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "a.lmdb"
    build(path, {"a": record(0)})
    with pytest.raises(RuntimeError), FeatureStoreWriter(path, INFO) as writer:
        writer.add("b", record(1))
        raise RuntimeError
    assert list(FeatureStore(path).keys()) == ["a"] and [file.name for file in tmp_path.iterdir()] == ["a.lmdb"]


def test_a_replaced_store_is_read_anew(tmp_path):
    old = build(tmp_path / "a.lmdb", {"a": record(0)})
    view = old.read("a")
    new = build(tmp_path / "a.lmdb", {"a": record(1)})
    assert same(new.read("a"), record(1)) and same(view, record(0))


def test_an_interrupted_writer_goes_on(tmp_path):
    path = tmp_path / "a.lmdb"
    with pytest.raises(RuntimeError), FeatureStoreWriter(path, INFO, resume=True) as writer:
        writer.add("a", record(0))
        raise RuntimeError
    with pytest.raises(InputError, match=r"detector is 'toy' where 'other'"):
        FeatureStoreWriter(path, StoreInfo("other", DIMENSION, 6), resume=True)
    with FeatureStoreWriter(path, INFO, resume=True) as writer:
        assert list(writer.keys()) == ["a"] and "a" in writer
        writer.add("b", record(1))
    assert list(FeatureStore(path).keys()) == ["a", "b"]


WRITER_IN_ANOTHER_PROCESS = """
import sys, numpy as np, resource
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import *
path, limit = sys.argv[1], int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with FeatureStoreWriter(path, StoreInfo("toy", 1024, 100), "float32", resume=True) as writer:
        for index in range(400):
            if f"image_{index}" not in writer:
                writer.add(f"image_{index}", RegionRecord(np.full((100, 1024), index, np.float32)))
except InputError as error:
    print(error)
    sys.exit(2)
"""


def write_elsewhere(path: Path, limit: int = 0) -> subprocess.CompletedProcess:
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    command = [sys.executable, "-c", textwrap.dedent(WRITER_IN_ANOTHER_PROCESS), str(path), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_a_full_disk_is_said_and_the_run_goes_on_after_it(tmp_path):
    path = tmp_path / "a.lmdb"
    stopped = write_elsewhere(path, limit=100 << 20)
    assert stopped.returncode == 2 and "free space" in stopped.stdout, stopped.stderr
    assert not path.exists() and (tmp_path / "a.lmdb.partial").exists()
    assert write_elsewhere(path).returncode == 0
    store = FeatureStore(path)
    assert len(store) == 400
    assert all((store.read(f"image_{index}").features == index).all() for index in range(400))


def test_one_store_has_one_writer(tmp_path):
    with FeatureStoreWriter(tmp_path / "a.lmdb", INFO) as writer:
        other = write_elsewhere(tmp_path / "a.lmdb")
        assert other.returncode == 2 and "another process is writing" in other.stdout
        writer.add("a", record(0))
    assert same(
        FeatureStore(tmp_path / "a.lmdb").read("a"), record(0)._replace(features=record(0).features.astype("f2"))
    )


def total(store: FeatureStore, keys: list[str]) -> float:
    return float(sum(store.read(key).features.sum() for key in keys))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_what_the_parent_has_open(tmp_path, method):
    store = build(tmp_path / "a.lmdb", {f"image_{n}": record(n) for n in range(8)})
    keys = list(store.keys())
    expected = total(store, keys)
    # An executor, because a Pool waits for ever for a worker that died.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(total, [store] * 4, [keys] * 4, timeout=120)) == [expected] * 4


def test_threads_do_not_get_each_others_records(tmp_path):
    """LMDB's binding lets other threads run while it looks a record up."""
    info = StoreInfo("toy", 512, 40)
    store = build(tmp_path / "a.lmdb", {f"image_{n}": record(n, 40, 512) for n in range(30)}, info=info)
    wrong: list[str] = []

    def read(seed: int) -> None:
        generator = np.random.default_rng(seed)
        try:
            for number in generator.integers(0, 30, 1500).tolist():
                store.read(f"image_{number}")  # compares the record's own id
        except InputError as error:
            wrong.append(str(error))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_missing_store_is_said(tmp_path):
    with pytest.raises(InputError, match="there is no feature store"):
        FeatureStore(tmp_path / "none.lmdb").read("a")
    (tmp_path / "junk.lmdb").write_bytes(b"junk" * 5000)
    with pytest.raises(InputError, match="not an LMDB feature store"):
        FeatureStore(tmp_path / "junk.lmdb").read("a")
    with pytest.raises(InputError, match="no feature store is named"):
        FeatureStore([])


def test_a_disk_that_fails_at_any_byte_leaves_the_old_store_or_the_new_one(tmp_path):
    """The largest size of a file is lowered for a process of its own, so that each write fails in its turn."""
    path = tmp_path / "a.lmdb"
    build(path, {"old": record(0)})
    whole = path.stat().st_size
    many = {f"k{number}": record(number, dimension=DIMENSION) for number in range(40)}
    failed = 0
    for limit in [*range(4096, 4 * whole, 8192), resource.RLIM_INFINITY]:
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                build(path, many)
                os._exit(0)
            except InputError as error:
                os._exit(2 if "cannot be written" in str(error) and "\n" not in str(error) else 3)
            finally:
                os._exit(4)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        keys = set(FeatureStore(str(path)).keys())
        assert (code, keys) in [(2, {"old"}), (0, set(many))], (limit, code, keys)
        failed += code == 2
        assert not list(tmp_path.glob("*.partial*")) or code == 0
        if code == 0:
            break
    assert failed > 3
