"""BAN's HDF5 files."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from mmf_visualbert.compat.optional import require
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.boxes import within_image
from mmf_visualbert.features.converters.source import Found, Image, Images, Reading
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.files import read_pickle

# Name in the file -> numbers a region has; None for any.
_PARTS: Mapping[str, int | None] = {"image_features": None, "image_bb": 4, "spatial_features": 6}


def from_ban_hdf5(path: str, reading: Reading) -> Images:
    """BAN's `{split}.hdf5` with `{split}_imgid2idx.pkl` beside it: 10 to 100 regions, or a fixed number, an image.

    The image's size is worked out from boxes in pixels and the same boxes in fractions.
    """
    h5py = require("h5py", "reading BAN's features")
    beside = path.removesuffix(".hdf5").removesuffix("36") + "_imgid2idx.pkl"
    beside = beside if os.path.exists(beside) else path.removesuffix(".hdf5") + "_imgid2idx.pkl"
    if not (os.path.isfile(path) and os.path.isfile(beside)):
        raise InputError(f"{path} and {beside} have to be there both; download the missing one")
    places = read_pickle(beside)
    if not isinstance(places, dict) or not all(
        isinstance(place, int | np.integer) and not isinstance(place, bool) for place in places.values()
    ):
        raise InputError(f"{beside} is no list of the places of images; download it again")
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is no whole HDF5 file ({error}); download it again") from None
    with file:
        parts = _parts(h5py, file, path)
        for identity, place in places.items():
            where = f"{path}, image {identity}"
            yield Image(str(identity), where, partial(_read, parts, int(place), where))


def _parts(h5py: Any, file: Any, path: str) -> dict[str, Any]:
    """The arrays of the file, of the shapes that they have to have.

    Raises:
        InputError: where one is missing or of another shape.
    """
    try:
        parts = {name: file[name] for name in (*_PARTS, "pos_boxes") if name in file}
        wanted = dict(_PARTS) if "pos_boxes" not in parts else {**_PARTS, "pos_boxes": 2}
        for name, width in wanted.items():
            part = parts.get(name)
            if part is not None and _lies_elsewhere(h5py, file, name):
                raise InputError(f"{path} has its '{name}' in another file; copy all into one, or download it again")
            if not isinstance(part, h5py.Dataset) or part.dtype.kind not in "fiu":
                raise InputError(f"{path} has no numbers in '{name}', so that it is none of BAN's files; check --from")
            axes = 2 if "pos_boxes" in parts else 3
            if part.ndim != axes or part.shape[-1] < (width or 1) or len(part) < 1:
                raise InputError(
                    f"{path} has '{name}' of shape {part.shape}, so that it is none of BAN's files; check --from"
                )
    except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged ({error}); download it again") from None
    return parts


def _lies_elsewhere(h5py: Any, file: Any, name: str) -> bool:
    """Whether a name is a link, or an array has its numbers outside of the file."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return True
    part = file[name]
    return isinstance(part, h5py.Dataset) and bool(part.external or part.is_virtual)


def _read(parts: Mapping[str, Any], place: int, where: str) -> Found:
    try:
        arrays = _of_image(parts, place, where)
    except (KeyError, OSError, RuntimeError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where} cannot be read ({error}); download the file again") from None
    features, boxes, fractions = arrays
    width, height = (_side(boxes[:, axis], fractions[:, axis], where) for axis in (2, 3))
    boxes = within_image(boxes[:, :4].astype(np.float32), width, height, where)
    return Found(RegionRecord(features, boxes, width, height), (f"features in {features.dtype}",))


def _of_image(parts: Mapping[str, Any], place: int, where: str) -> list[np.ndarray]:
    positions = parts.get("pos_boxes")
    images = len(parts["image_features"] if positions is None else positions)
    if not 0 <= place < images:
        raise InputError(f"{where} is at place {place} of {images}; get the .hdf5 and the .pkl of one split")
    if positions is None:
        arrays = [np.asarray(parts[name][place]) for name in _PARTS]
    else:
        start, end = (int(one) for one in positions[place][:2])
        if not 0 <= start < end <= min(len(parts[name]) for name in _PARTS) or end - start > 10_000:
            raise InputError(
                f"{where} has its regions at {start} to {end}, where there are none; download the file again"
            )
        arrays = [np.asarray(parts[name][start:end]) for name in _PARTS]
    if arrays[0].dtype.kind != "f":
        raise InputError(f"{where} has features of type {arrays[0].dtype}; download the file again")
    return arrays


def _side(pixels: np.ndarray, fractions: np.ndarray, where: str) -> int:
    """Pixels of the image along an axis, from the farthest edge of its boxes in pixels and as a fraction."""
    with np.errstate(all="ignore"):
        farthest = int(np.asarray(pixels, np.float64).argmax())
        side = float(pixels[farthest]) / float(fractions[farthest]) if fractions[farthest] else np.nan
    if not np.isfinite(side) or not 1 <= side < 1 << 20:
        raise InputError(f"{where} has boxes in pixels and fractions that are of no image; download the file again")
    return round(side)
