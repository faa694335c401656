"""Reading files: each fault is one sentence with the file, the place and the mend."""

import gc
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from mmf_visualbert.datasets.columns import Strings
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import (
    no_garbage_collection,
    read_json,
    read_json_lines,
    read_npy_records,
    read_torch,
    require,
)
from mmf_visualbert.tasks.nlvr2.settings import Settings


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_require(tmp_path):
    assert require(tmp_path) == tmp_path
    with pytest.raises(InputError, match="does not exist"):
        require(tmp_path / "nothing.json")
    with pytest.raises(InputError, match="is empty"):
        require(write(tmp_path / "empty.json", ""))


def test_configured_paths(tmp_path):
    given = {"data_dir": str(tmp_path), "annotations": {"train": ["a.json", "/b.json"], "val": "c.json", "test": []}}
    settings = read_settings(Settings, given | {"features": None}, "dataset_config.visualbert_nlvr2")

    def paths(section, split):
        return configured_paths(settings.data_dir, getattr(settings, section), section, split)

    assert [str(path) for path in paths("annotations", "train")] == [
        f"{tmp_path}/a.json",
        "/b.json",
    ]
    assert paths("annotations", "val") == [tmp_path / "c.json"]
    for section, split in (("annotations", "test"), ("features", "train")):
        with pytest.raises(InputError, match=rf"'{split}'.*`{section}\.{split}`"):
            paths(section, split)


def test_read_json(tmp_path):
    path = write(tmp_path / "a.json", '\ufeff{"é": [1, {"x": 2}]}')
    assert read_json(path) == {"é": [1, {"x": 2}]}
    assert read_json(path, object_hook=lambda record: record.get("x", record)) == {"é": [1, 2]}
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [1, 2', "truncated at line 1 column 12"),
        ('{"a": "un', "truncated at line 1"),
        ('{"a": 1}\n}', "no valid json at line 2"),
    ],
)
def test_json_that_cannot_be_read(tmp_path, text, message):
    path = write(tmp_path / "a.json", text)
    with pytest.raises(InputError, match=message) as caught:
        read_json(path)
    assert str(caught.value).startswith(str(path))
    assert gc.isenabled()


def test_json_that_is_no_text(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match="UTF-8"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match="UTF-8"):
        list(read_json_lines(tmp_path / "a.json"))


def test_read_json_lines(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"a": 1}\n\n{"a": 2}\n')
    assert list(read_json_lines(path)) == [(1, {"a": 1}), (3, {"a": 2})]
    with pytest.raises(InputError, match="line 2 is truncated"):
        list(read_json_lines(write(path, '{"a": 1}\n{"a": ')))
    with pytest.raises(InputError, match="line 1 is no valid json"):
        list(read_json_lines(write(path, '{"a": }\n{"a": 1}\n')))
    with pytest.raises(InputError, match="line 2 is no json object"):
        list(read_json_lines(write(path, '{"a": 1}\n[1]\n')))


def test_npy_records_of_mmf(shared):
    folder = shared / "realdata/vqa2"
    demo = read_npy_records(folder / "mmf_imdb_demo/imdb/imdb_demo.npy")
    assert demo[1]["image_name"] == "COCO_test2015_000000000001"
    built = read_npy_records(folder / "mmf_imdb_built/imdb_val100.npy")
    assert len(built) == 101
    assert len(built[1]["all_answers"]) == 10


def test_npy_records_with_arrays_and_numpy_numbers(tmp_path):
    records = np.empty(1, dtype=object)
    records[0] = {"a": np.arange(3), "b": np.float32(2), "c": b"x", "d": (1, None)}
    np.save(tmp_path / "a.npy", records, allow_pickle=True)
    (read,) = read_npy_records(tmp_path / "a.npy")
    assert read["a"].tolist() == [0, 1, 2]
    assert {key: read[key] for key in "bcd"} == {"b": 2, "c": b"x", "d": (1, None)}


class Evil:
    """What a pickle can do to its reader."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_npy_that_runs_code_is_refused(tmp_path):
    records = np.empty(1, dtype=object)
    records[0] = Evil(tmp_path / "touched")
    np.save(tmp_path / "a.npy", records, allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy.*open"):
        read_npy_records(tmp_path / "a.npy")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_values_of_omegaconf_beside_weights_are_plain(tmp_path, zipped):
    """As MMF leaves them in a checkpoint: `betas` from a yaml."""
    config = OmegaConf.create({"betas": [0.9, 0.98], "x": {"a": 1, "b": "s", "c": None, "d": [True, "${x.a}"]}})
    content = {"group": {"betas": config.betas}, "config": config, "pair": (config.betas, 1), "w": torch.ones(2)}
    torch.save(content, tmp_path / "mmf.ckpt", _use_new_zipfile_serialization=zipped)
    read = read_torch(tmp_path / "mmf.ckpt")
    assert read["config"] == {"betas": [0.9, 0.98], "x": {"a": 1, "b": "s", "c": None, "d": [True, "${x.a}"]}}
    assert type(read["group"]["betas"]) is list and read["pair"] == ([0.9, 0.98], 1)
    assert torch.equal(read["w"], torch.ones(2))


def test_what_stands_in_many_places_is_looked_at_once(tmp_path):
    nested = OmegaConf.create([1])
    for _ in range(60):
        nested = [nested, nested]
    torch.save(nested, tmp_path / "nested.ckpt")
    read = read_torch(tmp_path / "nested.ckpt")
    for _ in range(60):
        read = read[1]
    assert read == [1]


def test_code_among_values_of_omegaconf_is_refused(tmp_path):
    config = OmegaConf.create({"a": 1})
    vars(config)["_metadata"].object_type = Path
    torch.save(config, tmp_path / "theirs.ckpt")
    with pytest.raises(InputError, match=r"theirs\.ckpt holds Python objects \(pathlib.*\) beside weights"):
        read_torch(tmp_path / "theirs.ckpt")


def test_npy_of_other_kinds_is_refused(tmp_path):
    np.save(tmp_path / "numbers.npy", np.zeros(3))
    with pytest.raises(InputError, match="float64 instead of records"):
        read_npy_records(tmp_path / "numbers.npy")
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(InputError, match=r"no \.npy file"):
        read_npy_records(tmp_path / "text.npy")
    np.save(tmp_path / "table.npy", np.empty((2, 2), dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="no list of records"):
        read_npy_records(tmp_path / "table.npy")
    whole = np.empty(2, dtype=object)
    whole[:] = [{"a": "b" * 50}, {}]
    np.save(tmp_path / "cut.npy", whole, allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-30])
    with pytest.raises(InputError, match=r"cut\.npy"):
        read_npy_records(tmp_path / "cut.npy")


def test_garbage_collection_comes_back_after_an_error():
    with pytest.raises(RuntimeError), no_garbage_collection():
        assert not gc.isenabled()
        raise RuntimeError
    assert gc.isenabled()


def test_strings():
    texts = ["", "a", "é中", "", "\ud800 lone"]
    strings = Strings(texts)
    assert list(strings) == texts
    assert list(pickle.loads(pickle.dumps(strings))) == texts
    assert (strings.most_pieces() >= [len(text) for text in texts]).all()
    assert Strings(["abc"]).most_pieces().tolist() == [3]
    assert len(Strings([])) == 0
    with pytest.raises(IndexError):
        strings[5]
    assert json.dumps(strings[1]) == '"a"'
