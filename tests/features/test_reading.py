"""Reading into a batch: the quick way agrees with the slow one, and the system is told what comes from a disk."""

import ctypes
import os
import time
from pathlib import Path

import numpy as np
import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.features import environments, records
from mmf_visualbert.features.environments import will_need
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo

PAGE = os.sysconf("SC_PAGE_SIZE")


def store_of(path: Path, dtype: str, dimension: int = 32, images: int = 6, regions: int = 0) -> FeatureStore:
    """Image n has n + 1 regions, or all have `regions`."""
    generator = np.random.default_rng(0)
    with FeatureStoreWriter(path, StoreInfo("toy", dimension, max(images, regions)), dtype) as writer:
        for number in range(images):
            shape = (regions or number + 1, dimension)
            writer.add(f"image_{number}", RegionRecord(generator.normal(size=shape).astype(np.float32)))
    return FeatureStore(path)


def slots(rows: int, kind: str) -> dict[str, np.ndarray]:
    """Places in a batch, in every way that memory may lie."""
    return {
        "plain": np.ones((rows, 32), kind),
        "in a batch": np.ones((3, rows, 32), kind)[1],
        "columns first": np.ones((32, rows), kind).T,
        "with room for geometry": np.ones((rows, 38), kind)[:, :32],
        "every second row": np.ones((2 * rows, 32), kind)[::2],
    }


@pytest.mark.parametrize("kind", ["float16", "float32"])
@pytest.mark.parametrize("stored", ["float16", "float32"])
def test_any_slot_gets_what_read_gives(tmp_path, stored, kind):
    store = store_of(tmp_path / "a.lmdb", stored)
    for number in range(6):
        features = store.read(f"image_{number}").features
        for rows in (6, 3):
            for name, slot in slots(rows, kind).items():
                count = store.read_into(f"image_{number}", slot, cut=True)
                assert count == min(rows, number + 1), name
                assert np.array_equal(slot[:count], features[:count].astype(kind)), name
                assert not slot[count:].any(), name


def test_the_quick_way_is_taken_for_equal_types_and_only_then(tmp_path):
    store = store_of(tmp_path / "a.lmdb", "float16")
    raw = store.files[0].get(b"image_3")
    for name, slot in slots(6, "float16").items():
        taken = name in ("plain", "in a batch")
        assert records.copy_usual(raw, b"image_3", slot) == (4 if taken else -1), name
        assert taken or (slot == 1).all(), name
    others = [np.ones((6, 32), np.float32), np.ones((3, 32), np.float16), np.ones((6, 31), np.float16)]
    others += [np.ones((6, 32), np.int16), np.ones(192, np.float16)]
    for slot in others:
        assert records.copy_usual(raw, b"image_3", slot) == -1 and (slot == 1).all()
    slot = np.ones((6, 32), np.float16)
    for owner, cut in ((b"image_4", len(raw)), (b"image_3", 20), (b"image_3", 150), (b"image_3", 4 * 32 * 2)):
        assert records.copy_usual(raw[:cut], owner, slot) == -1 and (slot == 1).all()


def test_a_slot_that_cannot_be_written_is_left_alone(tmp_path):
    store = store_of(tmp_path / "a.lmdb", "float16")
    slot = np.ones((6, 32), np.float16)
    slot.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        store.read_into("image_0", slot)
    with pytest.raises(InputError, match="dimension 32 and 31"):
        store.read_into("image_0", np.ones((6, 31), np.float16))


def pages_of(raw: memoryview) -> tuple[ctypes.c_void_p, ctypes.c_size_t, int]:
    """Address, bytes and number of the pages in which a record lies."""
    address = np.frombuffer(raw, np.uint8).ctypes.data
    start = address - address % PAGE
    pages = (address + len(raw) - start + PAGE - 1) // PAGE
    return ctypes.c_void_p(start), ctypes.c_size_t(pages * PAGE), pages


def resident(raw: memoryview) -> float:
    """The share of a record's pages that are in memory."""
    start, size, pages = pages_of(raw)
    found = (ctypes.c_ubyte * pages)()
    assert ctypes.CDLL(None).mincore(start, size, found) == 0
    return sum(value & 1 for value in found) / pages


def test_a_record_that_is_hinted_at_comes_into_memory_as_a_whole(tmp_path):
    path = tmp_path / "a.lmdb"
    store = store_of(path, "float16", 2048, images=40, regions=100)
    raws = [store.files[0].transaction.get(key.encode()) for key in store.keys()]
    for raw in raws:
        start, size, _ = pages_of(raw)
        ctypes.CDLL(None).madvise(start, size, 4)  # MADV_DONTNEED: pages that are mapped cannot be dropped
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    dropped = [raw for raw in raws if resident(raw) < 0.1]
    if len(dropped) < 20:
        pytest.skip("this file system keeps its files in memory")
    will_need(dropped[0])
    end = time.monotonic() + 20
    while resident(dropped[0]) < 1 and time.monotonic() < end:
        time.sleep(0.01)
    assert resident(dropped[0]) == 1 and resident(dropped[-1]) < 0.2


def test_hints_follow_a_slow_read_and_end_where_memory_answers(tmp_path, monkeypatch):
    store = store_of(tmp_path / "a.lmdb", "float16")
    file, hinted = store.files[0], []
    monkeypatch.setattr(environments, "will_need", hinted.append)
    monkeypatch.setattr(environments, "_FROM_DISK", -1.0)  # every touch is as slow as a disk
    slot = np.empty((6, 32), np.float16)
    store.read_into("image_0", slot)
    assert not hinted
    store.read_into("image_1", slot)
    store.read("image_2")
    assert len(hinted) == 2
    monkeypatch.setattr(environments, "_FROM_DISK", 1e9)
    for _ in range(100):
        store.read("image_3")
    assert 2 < len(hinted) < 100 and file.get(b"none") is None
