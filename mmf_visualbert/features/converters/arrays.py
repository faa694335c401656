"""Numpy's files, LMDBs of them, and stores: MMF's extraction, UNITER's."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.features import records
from mmf_visualbert.features.converters.source import Found, Image, Images, Reading
from mmf_visualbert.features.environments import OpenFile, key_text, open_file
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.files import files_below, read_npy, read_npz

# Names that MMF's scripts and others give to the same things.
_OTHER_NAMES = {"features": ("image_feat", "image_feature", "feature"), "bbox": ("image_bboxes",)}


def from_store(path: str, reading: Reading) -> Images:
    """MMF's own LMDB, or a store of ours."""
    store = FeatureStore(path)
    for key in store.keys():
        yield Image(key, f"{path}, record '{key}'", partial(_from_store, store, key))


def _from_store(store: FeatureStore, key: str) -> Found:
    record = store.read(key)
    return Found(record, (f"features in {record.features.dtype}",))


def from_npy_folder(path: str, reading: Reading) -> Images:
    """A folder of `.npy` files as MMF's extraction scripts write them: `X.npy` the features, `X_info.npy` the rest.

    Also single files with a dict of both, and files below subfolders: the id is the path below the folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{path} holds no .npy file, as it is no folder; give the folder that the extraction wrote")
    found = [file for file in files_below(folder) if file.suffix == ".npy" and not file.name.endswith("_info.npy")]
    if not found:
        raise InputError(f"{path} holds no .npy file; give the folder that the extraction wrote")
    for file in sorted(found):
        yield Image(str(file.relative_to(folder).with_suffix("")), str(file), partial(_from_npy, file))


def _from_npy(file: Path) -> Found:
    array = read_npy(file)
    item = {"features": array} if array.dtype != object else _item(array, file)
    beside = file.with_name(f"{file.stem}_info.npy")
    if beside.is_file():
        item = {**_item(read_npy(beside), beside), "features": _named(item).get("features")}
    item = _named(item)
    item.pop("feature_path", None)
    record = records.from_mmf(item, (), str(file))
    return Found(record, (f"features in {record.features.dtype}",))


def _item(value: np.ndarray, path: Path) -> dict[str, Any]:
    """The dict that a file of MMF's scripts holds."""
    item = value.item() if value.shape == () else value
    if not isinstance(item, dict):
        raise InputError(f"{path} holds no dict with the features of an image; give the files that MMF's script wrote")
    return item


def _named(item: dict[str, Any]) -> dict[str, Any]:
    named = dict(item)
    for name, others in _OTHER_NAMES.items():
        for other in others:
            if name not in named and other in named:
                named[name] = named.pop(other)
    return named


def from_uniter(path: str, reading: Reading) -> Images:
    """UNITER's features: a folder of `.npz` files, or its LMDB of compressed ones (`..._compressed`).

    Boxes are fractions of an image whose size is not kept there.
    """
    if not Path(path).exists():
        raise InputError(f"there is no folder or LMDB {path}; correct the path")
    files = sorted(Path(path).glob("*.npz"))
    for file in files:
        yield Image(file.stem, str(file), partial(_from_npz, file, str(file)))
    if files:
        return
    stored = open_file(path)
    for name in stored.names():
        if name != b"__keys__":
            key = key_text(name, path).removesuffix(".npz")
            where = f"{path}, record '{key}'"
            yield Image(key, where, partial(_from_record, stored, name, where))


def _from_record(stored: OpenFile, name: bytes, where: str) -> Found:
    return _from_npz(bytes(stored.get(name) or b""), where)


def _from_npz(source: bytes | Path, where: str) -> Found:
    arrays = read_npz(source, ("features", "norm_bb", "conf"), where)
    if not {"features", "norm_bb"} <= set(arrays):
        raise InputError(
            f"{where} is no .npz with features and norm_bb; of UNITER's LMDBs give the one of compressed records"
        )
    if arrays["norm_bb"].ndim != 2 or arrays["norm_bb"].shape[1] < 4 or arrays["norm_bb"].dtype.kind != "f":
        raise InputError(f"{where} has boxes of shape {arrays['norm_bb'].shape}; get or make the file again")
    item = {"features": arrays["features"], "bbox": arrays["norm_bb"][:, :4], "scores": arrays.get("conf")}
    if item["scores"] is not None:
        item["scores"] = item["scores"].ravel()
    record = records.from_mmf(item, (), where)
    return Found(record, (f"features in {record.features.dtype}",), fractions=True)
