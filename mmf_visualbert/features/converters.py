"""Region features in other people's formats, read one record at a time.

Each reader gives (the image's id as the source has it, its record). `KeyPattern` makes keys of ids.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mmf_visualbert.compat.optional import require
from mmf_visualbert.errors import InputError
from mmf_visualbert.features import records
from mmf_visualbert.features.environments import key_text, open_file
from mmf_visualbert.features.store import FeatureStore, RegionRecord
from mmf_visualbert.files import read_npy, read_npz, read_pickle, read_rows

Records = Iterator[tuple[str, RegionRecord]]

# Columns of the tab-separated files, in their order; both are written without a header.
BOTTOM_UP_COLUMNS = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LXMERT_COLUMNS = (
    *("img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf"),
    *("num_boxes", "boxes", "features"),
)


class KeyPattern:
    """Keys of images from the ids of a source.

    Args:
        pattern: as Python's format takes it, with the field `id`: `COCO_val2014_{id:012d}`. A pattern that formats a
            number takes the number at the end of the id. Without a pattern the id is the key.
    """

    def __init__(self, pattern: str = "{id}") -> None:
        self.pattern = pattern
        try:
            pattern.format(id=7)
        except (KeyError, ValueError, IndexError):
            raise InputError(f"the key pattern '{pattern}' has to be like COCO_val2014_{{id:012d}}") from None

    def __call__(self, identity: str) -> str:
        """The key; raises InputError where the pattern wants a number that the id has not."""
        try:
            return self.pattern.format(id=identity)
        except ValueError:
            digits = len(identity) - len(identity.rstrip("0123456789"))
            if not digits:
                raise InputError(
                    f"the image id '{identity}' ends in no number for the pattern {self.pattern}"
                ) from None
            return self.pattern.format(id=int(identity[-digits:]))


def from_store(path: str) -> Records:
    """MMF's own LMDB, or a store of ours."""
    store = FeatureStore(path)
    for key in store.keys():
        yield key, store.read(key)


def from_npy_folder(path: str) -> Records:
    """A folder of `.npy` files as MMF's extraction scripts write them: `X.npy` the features, `X_info.npy` the rest.

    Also single files with a dict of both, and files below subfolders: the id is the path below the folder.
    """
    folder = Path(path)
    found = sorted(file for file in folder.rglob("*.npy") if not file.name.endswith("_info.npy"))
    if not found:
        raise InputError(f"{path} holds no .npy file; give the folder that the extraction wrote")
    for file in found:
        identity = str(file.relative_to(folder).with_suffix(""))
        array = read_npy(file)
        item = array.item() if array.dtype == object and array.ndim == 0 else {"features": array}
        beside = file.with_name(f"{file.stem}_info.npy")
        if beside.is_file():
            item = {**_item(read_npy(beside), beside), "features": _item(item, file).get("features")}
        yield identity, _from_dict(_item(item, file), str(file))


def _item(value: Any, path: Path) -> dict[str, Any]:
    """The dict that a file of MMF's scripts holds."""
    value = value.item() if isinstance(value, np.ndarray) and value.shape == () else value
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no dict with the features of an image; give the files that MMF's script wrote")
    return value


def _from_dict(item: dict[str, Any], where: str) -> RegionRecord:
    item = dict(item)
    item.pop("feature_path", None)
    if "features" not in item:
        for other in ("image_feat", "image_feature", "feature"):
            if other in item:
                item["features"] = item.pop(other)
    if "bbox" not in item and "image_bboxes" in item:
        item["bbox"] = item.pop("image_bboxes")
    features = np.asarray(item.get("features"))
    if features.ndim > 2:  # a grid of ResNet features: every cell is a region
        item["features"] = features.reshape(-1, features.shape[-1])
    return records.from_mmf(item, (), where)


def from_bottom_up_tsv(path: str) -> Records:
    """The TSV of bottom-up attention: `image_id image_w image_h num_boxes boxes features`, base64 of float32."""
    return _from_tsv(path, BOTTOM_UP_COLUMNS)


def from_lxmert_tsv(path: str) -> Records:
    """The TSV of LXMERT and py-bottom-up-attention, with classes and attributes, base64 of int64 and float32."""
    return _from_tsv(path, LXMERT_COLUMNS)


def _from_tsv(path: str, columns: tuple[str, ...]) -> Records:
    for number, row in read_rows(path, "\t", quoted=False):
        where = f"{path}, line {number}"
        if len(row) != len(columns):
            raise InputError(f"{where} has {len(row)} columns and {len(columns)} are expected ({', '.join(columns)})")
        item = dict(zip(columns, row, strict=True))
        count = _integer(item["num_boxes"], where)
        names = [("objects_id", "<i8"), ("objects_conf", "<f4"), ("attrs_id", "<i8"), ("attrs_conf", "<f4")]
        rest = [_decoded(item[name], dtype, count, where).ravel() if name in item else None for name, dtype in names]
        yield (
            item[columns[0]],
            RegionRecord(
                _decoded(item["features"], "<f4", count, where),
                _decoded(item["boxes"], "<f4", count, where),
                _integer(item.get("image_w") or item["img_w"], where),
                _integer(item.get("image_h") or item["img_h"], where),
                *rest,
            ),
        )


def _decoded(text: str, dtype: str, count: int, where: str) -> np.ndarray:
    try:
        flat = np.frombuffer(base64.b64decode(text, validate=True), dtype)
        return flat.reshape(count, -1)
    except ValueError as error:
        raise InputError(
            f"{where} holds no {count} rows of numbers in base64 ({error}); download the file again"
        ) from None


def _integer(text: str, where: str) -> int:
    if not text.strip().isdigit():
        raise InputError(f"{where} has '{text}' where a whole number is expected; check the columns of the file")
    return int(text)


def from_ban_hdf5(path: str) -> Records:
    """BAN's `{split}.hdf5` with `{split}_imgid2idx.pkl` beside it: 10 to 100 regions, or a fixed number, an image.

    The image's size is worked out from boxes in pixels and the same boxes in fractions.
    """
    h5py = require("h5py", "reading BAN's features")
    beside = path.removesuffix(".hdf5").removesuffix("36") + "_imgid2idx.pkl"
    beside = beside if os.path.exists(beside) else path.removesuffix(".hdf5") + "_imgid2idx.pkl"
    if not (os.path.isfile(path) and os.path.isfile(beside)):
        raise InputError(f"{path} and {beside} have to be there both; download the missing one")
    places = read_pickle(beside)
    if not isinstance(places, dict) or not all(isinstance(place, int | np.integer) for place in places.values()):
        raise InputError(f"{beside} is no list of the places of images; download it again")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} is no whole HDF5 file ({error}); download it again") from None
    with file:
        for identity, place in places.items():
            start, end = file["pos_boxes"][place] if "pos_boxes" in file else (place, place + 1)
            names = ("image_features", "image_bb", "spatial_features")
            features, boxes, fractions = (file[name][start:end] for name in names)
            if "pos_boxes" not in file:
                features, boxes, fractions = features[0], boxes[0], fractions[0]
            width, height = (_side(boxes[:, axis], fractions[:, axis]) for axis in (2, 3))
            limits = np.array([width, height] * 2, np.float32)
            yield str(identity), RegionRecord(features, boxes.astype(np.float32).clip(0, limits), width, height)


def _side(pixels: np.ndarray, fractions: np.ndarray) -> int:
    largest = int(pixels.argmax())
    return round(float(pixels[largest]) / float(fractions[largest]))


def from_uniter(path: str) -> Records:
    """UNITER's features: a folder of `.npz` files, or its LMDB of compressed ones (`..._compressed`).

    Boxes are fractions of an image whose size is not kept there, so they are left out; see `Sizes`.
    """
    if any(Path(path).glob("*.npz")):
        for file in sorted(Path(path).glob("*.npz")):
            yield file.stem, _from_npz(file, str(file))
        return
    if not Path(path).exists():
        raise InputError(f"there is no folder or LMDB {path}; correct the path")
    store = open_file(path)
    for name in store.names():
        if name != b"__keys__":
            key = key_text(name, path).removesuffix(".npz")
            yield key, _from_npz(bytes(store.get(name) or b""), f"{path}, record '{key}'")


def _from_npz(source: bytes | Path, where: str) -> RegionRecord:
    try:
        arrays = read_npz(source, ("features", "norm_bb", "conf"), where)
        boxes = np.asarray(arrays["norm_bb"], np.float32)[:, :4]
        confidence = np.asarray(arrays["conf"], np.float32).ravel() if "conf" in arrays else None
        return RegionRecord(arrays["features"], boxes, scores=confidence)
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"{where} is no .npz with features and norm_bb ({error}); of UNITER's LMDBs the compressed ones are read"
        ) from None


def from_vinvl_tsv(path: str) -> Records:
    """VinVL's `predictions.tsv` (objects with a feature each) or `features.tsv`; of 2,054 numbers 2,048."""
    for number, row in read_rows(path, "\t", quoted=False):
        where = f"{path}, line {number}"
        try:
            item = json.loads(row[1])
            if "objects" in item:
                yield row[0], _from_objects(item, where)
            else:
                features = _decoded(item["features"], "<f4", int(item["num_boxes"]), where)
                yield row[0], RegionRecord(features[:, :2048])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{where} is no line of VinVL's features ({type(error).__name__}: {error})") from None


def _from_objects(item: dict[str, Any], where: str) -> RegionRecord:
    objects = item["objects"]
    features = np.concatenate([_decoded(one["feature"], "<f4", 1, where) for one in objects])
    boxes = np.array([one["rect"] for one in objects], np.float32)
    scores = np.array([one["conf"] for one in objects], np.float32) if all("conf" in one for one in objects) else None
    width, height = int(item["image_w"]), int(item["image_h"])
    return RegionRecord(features[:, :2048], boxes.clip(0, [width, height] * 2), width, height, scores=scores)


FORMATS: dict[str, Callable[[str], Records]] = {
    "mmf": from_store,
    "npy": from_npy_folder,
    "bottom_up_tsv": from_bottom_up_tsv,
    "lxmert_tsv": from_lxmert_tsv,
    "ban_hdf5": from_ban_hdf5,
    "uniter": from_uniter,
    "vinvl_tsv": from_vinvl_tsv,
}
