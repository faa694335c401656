"""Reading into a batch: the quick way agrees with the slow one, and the system is told what comes from a disk."""

import ctypes
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.features import environments, records
from mmf_visualbert.features.nodes import BRANCH, Nodes
from mmf_visualbert.features.pages import Pages
from mmf_visualbert.features.readahead import Readahead
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


def test_a_records_place_is_found_in_a_tree_of_several_levels(tmp_path):
    info = StoreInfo("toy", 2, 700)
    keys = [f"folder/{number}_{'x' * (number % 90)}" for number in range(3000)]
    with FeatureStoreWriter(tmp_path / "a.lmdb", info) as writer:
        for number, key in enumerate(keys):
            features = np.full((700 if number % 3 else 1, 2), number % 1000, np.float16)
            writer.add(key, RegionRecord(features))
    file, raw = FeatureStore(tmp_path / "a.lmdb").files[0], (tmp_path / "a.lmdb").read_bytes()
    assert file.transaction.stat()["depth"] >= 3
    for number, key in enumerate(keys):
        place = file.readahead.pages.place(key.encode())
        assert (place is not None) == bool(number % 3)
        if place is not None:  # a page's 16 bytes come before the record's
            assert raw[place[0] + 16 : sum(place)] == bytes(file.transaction.get(key.encode()))
    for key in (b"", b"folder", b"folder/1", b"folder/1_xx", b"zzz"):
        assert file.readahead.pages.place(key) is None and not file.readahead.will_need(key)


def test_a_file_that_is_no_store_gets_no_hints(tmp_path):
    generator = np.random.default_rng(0)
    store_of(tmp_path / "a.lmdb", "float16", 2048, images=3, regions=100)
    whole = (tmp_path / "a.lmdb").read_bytes()
    damaged = [generator.bytes(9000), bytes(100), whole[:8192], whole[:5000], whole[:8192] + generator.bytes(60_000)]
    damaged += [whole[:16] + generator.bytes(4) + whole[20:]]  # the magic number
    damaged += [whole[:128] + b"\xff" * 24 + whole[152:4224] + b"\xff" * 24 + whole[4248:]]  # the root's place
    damaged += [whole.replace(b"image_1", b"image_0")]
    for number, content in enumerate(damaged):
        path = tmp_path / str(number)
        path.write_bytes(content)
        assert not Readahead(Pages(str(path))).will_need(b"image_1"), number


def in_memory(readahead: Readahead, key: bytes) -> float:
    """The share of a record's pages that are in memory."""
    place, size = readahead.pages.place(key)
    address = np.frombuffer(readahead.pages.map, np.uint8).ctypes.data + place
    pages = -(-size // PAGE)
    found = (ctypes.c_ubyte * pages)()
    assert ctypes.CDLL(None).mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), found) == 0
    return sum(value & 1 for value in found) / pages


def test_a_hint_brings_one_record_into_memory_as_a_whole(tmp_path):
    path = tmp_path / "a.lmdb"
    keys = [f"image_{number}".encode() for number in range(40)]
    store_of(path, "float16", 2048, images=40, regions=100)
    readahead = Readahead(Pages(str(path)))
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    absent = [key for key in keys if in_memory(readahead, key) < 0.1]
    if len(absent) < 20:
        pytest.skip("this file system keeps its files in memory")
    assert readahead.will_need(absent[0])
    end = time.monotonic() + 20
    while in_memory(readahead, absent[0]) < 1 and time.monotonic() < end:
        time.sleep(0.01)
    assert in_memory(readahead, absent[0]) == 1 and in_memory(readahead, absent[-1]) < 0.2


def test_records_in_order_are_left_to_the_systems_own_readahead(tmp_path):
    store_of(tmp_path / "a.lmdb", "float16", 2048, images=10, regions=100)
    readahead = Readahead(Pages(str(tmp_path / "a.lmdb")))
    order = [7, 2, 3, 4, 8, 0, 1]
    asked = [number for number in order if readahead.will_need(f"image_{number}".encode())]
    assert asked == [7, 2, 8, 0]


def test_hints_follow_a_slow_read_and_end_where_memory_answers(tmp_path, monkeypatch):
    store = store_of(tmp_path / "a.lmdb", "float16")
    file, hinted = store.files[0], []
    monkeypatch.setattr(file.readahead, "will_need", hinted.append)
    monkeypatch.setattr(environments, "_FROM_DISK", -1.0)  # every read is as slow as a disk
    slot = np.empty((6, 32), np.float16)
    store.read_into("image_0", slot)
    assert not hinted
    store.read_into("image_1", slot)
    store.read("image_2")
    assert hinted == [b"image_1", b"image_2"]
    monkeypatch.setattr(environments, "_FROM_DISK", 1e9)
    for _ in range(100):
        store.read("image_3")
    assert 2 < len(hinted) < 100 and file.get(b"none") is None


def test_sizes_are_those_of_lmdb_and_no_record_is_touched_for_them(tmp_path):
    keys = [f"x{'y' * (number % 200)}/{number}" for number in range(2500)]
    with FeatureStoreWriter(tmp_path / "a.lmdb", StoreInfo("toy", 2, 700)) as writer:
        for number, key in enumerate(keys):
            writer.add(key, RegionRecord(np.zeros((1 + number % 700, 2), np.float16)))
    store = FeatureStore(tmp_path / "a.lmdb")
    (file,) = store.files
    found = list(file.sizes())
    assert found == list(file._entries()) and len(found) == len(file) and file.transaction.stat()["depth"] >= 3
    assert [name for name, _ in found] == list(file.names())
    assert all(file.size(name) == size for name, size in found[::7])
    for name in (b"", b"x", b"zzz", b"x" * 600):
        assert file.size(name) is None and not file.has(name)
    sizes = store.sizes(["keys", "nobody", *keys[::3], "half a \ud83d"])
    assert sizes == {key: len(file.get(key.encode())) for key in keys[::3]}
    assert store.lacking(["nobody", keys[0], "", "nobody"]) == ["nobody", ""]
    assert "nobody" not in store and keys[9] in store


def test_a_tree_in_which_lmdb_would_not_find_a_record_is_damaged(tmp_path):
    store_of(tmp_path / "a.lmdb", "float16", images=300)
    whole = (tmp_path / "a.lmdb").read_bytes()
    pages = (whole[start : start + PAGE] for start in range(0, len(whole), PAGE))
    pages = (page for number, page in enumerate(pages) if page[:8] == number.to_bytes(8, "little"))
    roots = [page for page in pages if page[10:12] == bytes([BRANCH, 0])]  # earlier ones may be there too
    damaged = []
    for wrong in (b"h", b"j"):
        damaged.append(whole)
        for root in roots:
            key = Nodes(root, PAGE).names()[1]
            damaged[-1] = damaged[-1].replace(root, root.replace(key, wrong + key[1:]))
    damaged += [whole.replace(b"image_123", wrong) for wrong in (b"image_923", b"image_023")]
    for number, content in enumerate(damaged):
        path = tmp_path / f"{number}.lmdb"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"is damaged \(its keys are out of order\); build, copy or download it"):
            FeatureStore(path).lacking(f"image_{number}" for number in range(300))


def mapped(file: Path) -> int:
    """Bytes of a file that are in this process's memory, in all its maps together."""
    maps = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.MULTILINE)
    own = (each for each in maps if each.partition("\n")[0].endswith(str(file)))
    return sum(int(re.search(r"Rss: +(\d+)", each)[1]) * 1024 for each in own)


def test_a_store_that_another_program_writes_is_read_as_it_was_opened_or_said_to_be_written(tmp_path):
    store = store_of(tmp_path / "a.lmdb", "float16")
    sizes = store.sizes([f"image_{number}" for number in range(6)])
    program = """
import lmdb, sys
with lmdb.open(sys.argv[1], subdir=False, map_size=1 << 30) as environment:
    for number in range(int(sys.argv[2])):
        with environment.begin(write=True) as transaction:
            for key in range(40):
                transaction.put(f"new_{number}_{key}".encode(), bytes(3000))
"""
    for commits in (1, 4):
        subprocess.run([sys.executable, "-c", program, store.paths[0], str(commits)], check=True)
        if commits == 1:  # LMDB lets the state before the last stand
            assert store.sizes(sizes) == sizes and set(store.keys()) == set(sizes) and "image_3" in store
    with pytest.raises(InputError, match="is being written by another program; start again when that has ended"):
        list(store.keys())


def test_of_a_store_no_more_is_mapped_than_its_tree(tmp_path):
    path = tmp_path / "a.lmdb"
    with FeatureStoreWriter(path, StoreInfo("toy", 2048, 100)) as writer:
        for number in range(60):
            writer.add(f"image_{number}", RegionRecord(np.zeros((100, 2048), np.float16)))
        writer.commit()  # LMDB has what is not yet in the file in memory
        assert len(list(writer.keys())) == 60 and mapped(writer.partial) < 1 << 20
    store = FeatureStore(path)
    assert store.lacking(store.keys()) == [] and len(store) == 60
    assert mapped(path) < 1 << 20 < path.stat().st_size / 20
    store.read("image_7").features.sum()
    assert mapped(path) > 300_000
