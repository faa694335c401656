"""One image's regions, and their bytes in a store.

A record is a pickled dict, as MMF's `LMDBFeatureReader` reads it. The pickle begins with a bytes object that is dropped
at once: our header, with the place of every array within the record. So ours reads arrays where they lie, and never
unpickles a record that it wrote.
"""

import pickle
import struct
from collections.abc import Iterable, Sequence
from os.path import normpath
from typing import Any, NamedTuple

import numpy as np

from mmf_visualbert import unpickle
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.boxes import fault

KEYS_RECORD = b"keys"  # MMF's list of ids
INFO_RECORD = b"__visualbert_store__"
RESERVED = (KEYS_RECORD, INFO_RECORD)

_MAGIC = b"VBREGION"
_LAYOUT = 1
# magic, layout, bytes a feature; regions, dimension, width, height; places of key, its length, features and five arrays
_HEADER = struct.Struct("<8sHHIIII8I")
_FRONT = struct.Struct("<8sHHIIIIIII")  # as far as the place of the features
_FORMATS = {2: "e", 4: "f"}  # of a buffer, by bytes a feature
_TYPES: dict[int, np.dtype] = {2: np.dtype(np.float16), 4: np.dtype(np.float32)}
_PAD_TO = 64  # bytes; a value of LMDB that fills pages of its own begins 16 bytes into the first of them
_PAGE_OFFSET = 16
_PROTOCOL = 3  # the oldest with bytes; read by every Python 3
_BOX_DTYPE, _ID_DTYPE, _SCORE_DTYPE = "<f4", "<i8", "<f4"


class RegionRecord(NamedTuple):
    """The regions of one image; N regions of D numbers each.

    Attributes:
        features: (N, D) float16 or float32.
        boxes: (N, 4) float32, x1, y1, x2, y2 in pixels of the image; None where unknown.
        width: of the image, pixels.
        height: of the image, pixels.
        class_ids: (N,) int64, in the detector's own numbering without a background class.
        scores: (N,) float32, the detector's confidence in the class.
        attribute_ids: (N,) int64.
        attribute_scores: (N,) float32.
    """

    features: np.ndarray
    boxes: np.ndarray | None = None
    width: int | None = None
    height: int | None = None
    class_ids: np.ndarray | None = None
    scores: np.ndarray | None = None
    attribute_ids: np.ndarray | None = None
    attribute_scores: np.ndarray | None = None

    def copy(self) -> "RegionRecord":
        """The same with arrays of its own, for records that outlive the store they are views of."""
        return self._replace(
            **{name: value.copy() for name, value in self._asdict().items() if isinstance(value, np.ndarray)}
        )


def problem(record: RegionRecord) -> str | None:
    """What is wrong with a record's shapes, numbers or boxes, in words; None where nothing is."""
    features = record.features
    if features.ndim != 2 or 0 in features.shape:
        return f"features of shape {features.shape} where (regions, dimension) is expected"
    if features.dtype not in (np.float16, np.float32):
        return f"features of type {features.dtype} where float16 or float32 is expected"
    if not np.isfinite(features).all():
        return "features that are not finite"
    count = len(features)
    for name in ("class_ids", "scores", "attribute_ids", "attribute_scores"):
        values = getattr(record, name)
        if values is not None and values.shape != (count,):
            return f"{name} of shape {values.shape} beside {count} regions"
    return None if record.boxes is None else _box_problem(record.boxes, record, count)


def _box_problem(boxes: np.ndarray, record: RegionRecord, count: int) -> str | None:
    if boxes.shape != (count, 4):
        return f"boxes of shape {boxes.shape} beside {count} regions"
    if not np.isfinite(boxes).all():
        return "boxes that are not finite"
    if (boxes[:, 2:] < boxes[:, :2]).any():
        return "boxes whose right or lower edge lies before the left or upper one"
    if record.width is None or record.height is None:
        return None
    # half a pixel: detectors round the size of the resized image, and boxes are scaled back by the exact ratio
    limit = np.array([record.width, record.height], np.float32) + 0.5
    if (boxes < -0.5).any() or (boxes[:, 2:] > limit).any():
        return f"boxes outside the image of {record.width} x {record.height}"
    return None


def check_key(key: str) -> bytes:
    """The bytes of an image's key.

    Raises:
        InputError: for a key that LMDB or MMF's reader would not find again.
    """
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise InputError(f"the key {key!r} holds half a character; give the image another name") from None
    if not key or encoded in RESERVED:
        raise InputError(f"'{key}' cannot be the key of an image; give the image another name")
    if len(encoded) > 511:
        raise InputError(f"the key '{key[:40]}...' has {len(encoded)} bytes and LMDB allows 511; shorten the path")
    if ".npy" in key or normpath(key) != key or key.startswith(("/", "../")):
        raise InputError(
            f"MMF would not find the key '{key}' again; give the file's name without extension, relative to its folder"
        )
    return encoded


def check_keys(keys: Iterable[str]) -> None:
    """Refuses keys that MMF's reader would confuse: it answers `any_7` with the record `7` where there is one.

    Raises:
        InputError: naming the two keys.
    """
    keys = list(keys)
    bare = {key for key in keys if key.isdigit()}
    if not bare:
        return
    for key in keys:
        number = trailing_number(key)
        if number is not None and str(number) in bare and str(number) != key:
            raise InputError(
                f"MMF's reader would give the record '{number}' for the image '{key}'; rename one of the two images"
            )


def trailing_number(key: str) -> int | None:
    """The number after a key's last underscore, as MMF's reader takes it, or None."""
    try:
        return int(key.split("_")[-1])
    except ValueError:
        return None


def encode(key: str, record: RegionRecord) -> bytes:
    """The bytes of a record: a pickle for MMF that carries our header.

    Features are kept in their own type; boxes and scores become float32, ids int64.
    """
    stream = _PickleStream(check_key(key))
    features = np.ascontiguousarray(record.features)
    count, dimension = features.shape
    stream.text("features")
    places = [stream.array(features.astype(features.dtype.newbyteorder("<"), copy=False), _PAD_TO)]
    stream.item("image_height", record.height)
    stream.item("image_width", record.width)
    stream.item("num_boxes", count)
    named = [
        ("bbox", record.boxes, _BOX_DTYPE),
        ("objects", record.class_ids, _ID_DTYPE),
        ("scores", record.scores, _SCORE_DTYPE),
        ("attributes", record.attribute_ids, _ID_DTYPE),
        ("attribute_scores", record.attribute_scores, _SCORE_DTYPE),
    ]
    for name, values, dtype in named:
        stream.text(name)
        places.append(0 if values is None else stream.array(np.ascontiguousarray(values, dtype)))
        if values is None:
            stream.parts.append(b"N")
    stream.item("cls_prob", None)
    head = (features.dtype.itemsize, count, dimension, record.width or 0, record.height or 0)
    return stream.finish(head, places)


class _PickleStream:
    """Writes the pickle of a dict opcode by opcode, so that it is known where each array lies."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.parts: list[bytes | memoryview] = []
        self.padding = 0
        self.text("feature_path")
        self.key_place = self._end() + 5
        self.text(key.decode())

    def _start(self) -> int:
        return 2 + 2 + self.padding + _HEADER.size + 1 + 2  # PROTO n, SHORT_BINBYTES n, header, POP, EMPTY_DICT MARK

    def _end(self) -> int:
        return self._start() + sum(len(part) for part in self.parts)

    def text(self, value: str) -> None:
        raw = value.encode()
        self.parts.append(b"X" + struct.pack("<I", len(raw)) + raw)

    def item(self, name: str, value: int | None) -> None:
        self.text(name)
        self.parts.append(b"N" if value is None else b"J" + struct.pack("<i", value))

    def array(self, values: np.ndarray, align: int = 0) -> int:
        """Appends an array, as a call of `numpy.ndarray(shape, dtype, bytes)`; gives the place of its bytes."""
        shape = b"".join(b"J" + struct.pack("<i", size) for size in values.shape)
        self.parts.append(b"cnumpy\nndarray\n" + shape + (b"\x85", b"\x86")[values.ndim - 1])
        self.text(values.dtype.newbyteorder("<").str)
        self.parts.append(b"B" + struct.pack("<I", values.nbytes))
        if align:
            self.padding = -(self._end() + _PAGE_OFFSET) % align
        place = self._end()
        self.parts += [values.data.cast("B"), b"\x87R"]
        return place

    def finish(self, head: tuple[int, ...], places: list[int]) -> bytes:
        itemsize, *sizes = head
        place_of_key = self.key_place + self.padding
        header = _HEADER.pack(_MAGIC, _LAYOUT, itemsize, *sizes, place_of_key, len(self.key), *places)
        body = bytes(self.padding)
        opening = bytes([0x80, _PROTOCOL]) + b"C" + bytes([_HEADER.size + self.padding]) + header + body + b"0}("
        return b"".join([opening, *self.parts, b"u."])


def copy_usual(raw: memoryview, owner: bytes, out: np.ndarray) -> int:
    """The usual case of reading into a batch, quickly: a record of ours, whose features `out` takes as they are.

    Args:
        raw: the record.
        owner: the key that it has to say it belongs to.
        out: (R, D); rows without a region become zero.

    Returns:
        The number of regions; -1 where something has to be converted, cut or refused, and nothing was copied.
    """
    if len(raw) < _HEADER.size + 4:
        return -1
    magic, layout, itemsize, count, dimension, _, _, key_place, key_length, place = _FRONT.unpack_from(raw, 4)
    room = out.data
    size = count * dimension * itemsize
    if (
        (magic != _MAGIC or layout != _LAYOUT or place + size > len(raw))
        or raw[key_place : key_place + key_length] != owner
        or (out.ndim != 2 or room.format != _FORMATS.get(itemsize) or not room.c_contiguous or room.readonly)
        or not (0 < count <= len(out) and 0 < dimension == out.shape[1])
    ):
        return -1
    # by bytes: numpy's own assignment goes row by row and takes three times as long
    room.cast("B")[:size] = raw[place : place + size]
    if count < len(out):
        out[count:] = 0
    return count


def stored_type(raw: memoryview) -> np.dtype | None:
    """The type of the features of a record of ours, without a look at the rest of it; None for any other record."""
    if not is_ours(raw) or len(raw) < _HEADER.size + 4:
        return None
    return _TYPES.get(_FRONT.unpack_from(raw, 4)[2])


def is_ours(raw: memoryview) -> bool:
    """Whether a record has our header."""
    return raw[4:12] == _MAGIC


def _header(raw: memoryview, where: str) -> tuple[Any, ...] | None:
    if not is_ours(raw):
        return None
    try:
        header = _HEADER.unpack_from(raw, 4)
    except struct.error:
        raise InputError(f"{where} is cut off; build the store again") from None
    if header[1] != _LAYOUT:
        raise InputError(f"{where} has layout {header[1]} and this package reads {_LAYOUT}; update mmf_visualbert")
    return header


def _features(raw: memoryview, header: tuple[Any, ...], owners: Sequence[str], where: str) -> np.ndarray:
    _, _, itemsize, count, dimension, _, _, key_place, key_length, place, *_ = header
    owner = str(raw[key_place : key_place + key_length], "utf-8", "replace")
    if owner not in owners:
        raise InputError(f"{where} belongs to the image '{owner}'; build the store again")
    return _array(raw, ("<f2" if itemsize == 2 else "<f4"), (count, dimension), place, where)


def _array(raw: memoryview, dtype: str, shape: tuple[int, ...], place: int, where: str) -> np.ndarray:
    try:
        return np.ndarray(shape, dtype, raw, place)
    except (TypeError, ValueError):
        raise InputError(f"{where} is cut off; build the store again") from None


def _aligned(values: np.ndarray) -> np.ndarray:
    return values if values.flags.aligned else values.copy()


def decode(raw: memoryview, owners: Sequence[str], where: str, check: bool = True) -> RegionRecord:
    """The record in `raw`, ours or MMF's. Arrays of a record of ours are views of `raw` where they lie aligned in it,
    and nothing of it is unpickled.

    Args:
        raw: the record.
        owners: the keys that the record may say it belongs to.
        where: names store and record in messages.
        check: look at the boxes, and at what else stands beside the features (see `checked`).

    Raises:
        InputError: where the record is another image's, damaged, of a newer layout, a pickle with anything but arrays
            in it, or what stands beside its features is wrong.
    """
    header = _header(raw, where)
    if header is None:
        record = from_mmf(unpickle.loads(raw, where), owners, where)
        return checked(record, where) if check else record
    features = _aligned(_features(raw, header, owners, where))
    count, width, height = header[3], header[5] or None, header[6] or None
    shapes = [(_BOX_DTYPE, (count, 4)), *((kind, (count,)) for kind in (_ID_DTYPE, _SCORE_DTYPE) * 2)]
    boxes, classes, scores, attributes, attribute_scores = (
        None if place == 0 else _aligned(_array(raw, dtype, shape, place, where))
        for (dtype, shape), place in zip(shapes, header[10:], strict=True)
    )
    record = RegionRecord(features, boxes, width, height, classes, scores, attributes, attribute_scores)
    return checked(record, where) if check else record


def checked(record: RegionRecord, where: str) -> RegionRecord:
    """A record that was read, after a look at what stands beside its features: as much of each as there are regions,
    and boxes that are some, in the image but for a detector's rounding.

    Raises:
        InputError: saying what is not so.
    """
    if record.features.ndim != 2:  # which whoever reads it says, or arranges anew
        return record
    count, wrong = len(record.features), None
    for name in ("boxes", "class_ids", "scores", "attribute_ids", "attribute_scores"):
        values = getattr(record, name)
        if values is not None and (len(values) if values.ndim else -1) != count:
            wrong = f"{name} of shape {values.shape} beside {count} regions"
    if record.boxes is not None and wrong is None:
        four = record.boxes.shape == (count, 4)
        wrong = fault(record.boxes, record.width, record.height) if four else f"boxes of shape {record.boxes.shape}"
    if wrong is not None:
        raise InputError(f"{where} has {wrong}; get the features again, or extract them anew")
    return record


def from_mmf(item: Any, owners: Sequence[str], where: str) -> RegionRecord:
    """A record of MMF's conversion script (`tools/scripts/features/lmdb_conversion.py`), already unpickled.

    `cls_prob` holds one probability a class there, with or without a background class, and is not taken over.

    Raises:
        InputError: where it is no such record, or belongs to another image.
    """
    if not isinstance(item, dict) or "features" not in item:
        raise InputError(
            f"{where} is not a record of region features: it has no 'features'; get the features again, or extract "
            "them anew"
        )
    path = item.get("feature_path")
    if path is not None and owners and str(path).removesuffix(".npy") not in owners:
        raise InputError(f"{where} belongs to the image '{path}'; build the store again, or ask for that image")
    features = _numbers(item["features"], None, where, "features")
    width, height = (_side(item.get(name), where, name) for name in ("image_width", "image_height"))
    arrays = [
        None if item.get(name) is None else _numbers(item[name], dtype, where, name)
        for name, dtype in (
            ("bbox", np.float32),
            ("objects", np.int64),
            ("scores", np.float32),
            ("attributes", np.int64),
            ("attribute_scores", np.float32),
        )
    ]
    return RegionRecord(features, arrays[0], width, height, *arrays[1:])


def _numbers(values: Any, dtype: Any, where: str, name: str) -> np.ndarray:
    """An array of a record of MMF's; `dtype` None for floats of any size."""
    try:
        array = np.asarray(values)
        if array.dtype.kind in "fiu" and (dtype is not None or array.dtype.kind == "f"):
            with np.errstate(all="ignore"):  # what does not fit becomes infinite, and is refused as that
                return array if dtype is None else array.astype(dtype)
        kind = str(array.dtype)
    except (TypeError, ValueError, OverflowError):
        kind = type(values).__name__
    raise InputError(
        f"{where} has {name} of type {kind}, where numbers are expected; get the features again, or extract them anew"
    )


def _side(value: Any, where: str, name: str) -> int | None:
    """Pixels of an image's side; 0 and None are not known."""
    if value is None:
        return None
    number = value.item() if isinstance(value, np.generic | np.ndarray) and value.size == 1 else value
    if type(number) not in (int, float) or not 0 <= number < 1 << 20 or number != int(number):
        raise InputError(
            f"{where} has {str(value)[:40]} as {name}, where pixels are expected; get the features again, or extract "
            "them anew"
        )
    return int(number) or None


def encode_keys(keys: Iterable[bytes]) -> bytes:
    """MMF's list of ids, as its reader unpickles it."""
    return pickle.dumps(list(keys), protocol=_PROTOCOL)
