"""Other people's pickles: arrays and containers are read, everything that could run is refused."""

import collections
import os
import pickle
from fractions import Fraction

import numpy as np
import pytest

from mmf_visualbert import unpickle
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_npy


class Exploit:
    def __reduce__(self):
        return os.system, ("touch /tmp/a_pickle_ran_this",)


@pytest.mark.parametrize("protocol", range(6))
def test_records_of_arrays_are_read(protocol):
    item = {
        "feature_path": "a",
        "features": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.ones((2, 2), np.float16, order="F"),
        "scalar": np.float32(1.5),
        "nested": [(1, None, True), b"bytes"],
        "inside": np.array({"image_feat": np.arange(3)}, dtype=object),
    }
    read = unpickle.loads(pickle.dumps(item, protocol), "x")
    assert read["nested"] == item["nested"] and read["scalar"] == item["scalar"]
    assert np.array_equal(read["features"], item["features"]) and np.array_equal(read["half"], item["half"])
    assert np.array_equal(read["inside"].item()["image_feat"], np.arange(3))


@pytest.mark.parametrize(
    "item",
    [Exploit(), [Exploit()], {"features": Exploit()}, np.array([Exploit()]), Fraction(1, 2), collections.Counter()],
)
def test_pickles_that_run_code_are_refused(item):
    with pytest.raises(InputError, match=r"store\.lmdb: a pickle asks to run"):
        unpickle.loads(pickle.dumps(item), "store.lmdb")
    assert not os.path.exists("/tmp/a_pickle_ran_this")


def test_another_codec_is_refused():
    raw = b"c_codecs\nencode\n(Vx\nVrot13\ntR."
    with pytest.raises(InputError, match="codec"):
        unpickle.loads(raw, "x")


def test_an_array_of_objects_over_bytes_is_refused():
    """Bytes read as pointers would crash the process."""
    raw = b"\x80\x03cnumpy\nndarray\nK\x01\x85X\x01\x00\x00\x00OC\x0812345678\x87R."
    with pytest.raises(InputError):
        unpickle.loads(raw, "x")


@pytest.mark.parametrize("raw", [b"", b"junk", pickle.dumps({"a": 1})[:-3]])
def test_damaged_pickles_are_refused(raw):
    with pytest.raises(InputError, match="cannot be unpickled"):
        unpickle.loads(raw, "store.lmdb, record 'a'")


def test_text_and_byte_order_are_kept():
    item = [np.array(["ab", "c"]), np.array([b"xyz"]), np.arange(3, dtype=">i4"), np.bool_(True), np.array([True])]
    for read, written in zip(unpickle.loads(pickle.dumps(item), "x"), item, strict=True):
        assert read.dtype.kind == written.dtype.kind and np.array_equal(read, written)


@pytest.mark.parametrize("dtype", [[("a", "O")], [("a", "f4"), ("b", "i4")], "V8", "M8[s]"])
def test_arrays_with_fields_are_refused(dtype):
    with pytest.raises(InputError):
        unpickle.loads(pickle.dumps(np.zeros(2, dtype)), "x")


def test_object_pointers_in_a_state_are_refused():
    state = pickle.dumps(np.array([1.0, 2.0])).replace(b"f8", b"O8")
    with pytest.raises(InputError):
        unpickle.loads(state, "x")


def test_functions_cannot_be_changed():
    with pytest.raises(InputError, match="change a function"):
        unpickle.loads(b"c_codecs\nencode\n(dVx\nVy\nsb.", "x")


def test_npy_files_are_read(tmp_path, shared):
    np.save(tmp_path / "a.npy", np.arange(4.0))
    np.save(tmp_path / "b.npy", np.array({"image_feat": np.arange(3)}, dtype=object))
    np.save(tmp_path / "c.npy", np.array([Exploit()], dtype=object))
    (tmp_path / "d.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-4])
    assert np.array_equal(read_npy(tmp_path / "a.npy"), np.arange(4.0))
    assert np.array_equal(read_npy(tmp_path / "b.npy").item()["image_feat"], np.arange(3))
    for name in ("c", "d", "none"):
        with pytest.raises(InputError, match=f"{name}.npy"):
            read_npy(tmp_path / f"{name}.npy")
    imdb = read_npy(shared / "realdata/vqa2/mmf_imdb_demo/imdb/imdb_demo.npy")
    assert imdb.dtype == object and isinstance(imdb[-1], dict)
