"""VinVL's files: `predictions.tsv`, and `features.tsv` in its two forms."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.boxes import boxes_of_lists, within_image
from mmf_visualbert.features.converters import numbers
from mmf_visualbert.features.converters.source import Found, Image, Images, Reading
from mmf_visualbert.features.converters.tables import Row, rows
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.features.suspicions import like_fractions
from mmf_visualbert.files import parse_json

DIMENSION, WITH_BOX = 2048, 2054  # the rest is the box as fractions: x1, y1, x2, y2, width, height


def from_vinvl_tsv(path: str, reading: Reading) -> Images:
    """VinVL's `predictions.tsv` (id, json of objects with a feature each) or `features.tsv` (id, json of all features;
    or id, number of boxes, base64 of all features). Of 2,054 numbers 2,048 are the feature, the rest is its box.
    """
    for row in rows(path):
        yield Image(row.fields[0], row.where, partial(_read, row, reading))


def _read(row: Row, reading: Reading) -> Found:
    if len(row.fields) == 3:
        return _from_features(row.fields[1], row.fields[2], row.where, reading)
    if len(row.fields) != 2:
        raise InputError(
            f"{row.where} has {len(row.fields)} columns, and VinVL's files have 2 (id, json) or 3 (id, number of "
            "boxes, features); check --from, or get the file again"
        )
    item = parse_json(row.fields[1], row.where)
    if isinstance(item, dict) and "objects" in item:
        return _from_objects(item, row.where, reading)
    if not isinstance(item, dict) or "features" not in item or "num_boxes" not in item:
        raise InputError(
            f"{row.where} is no line of VinVL's features: its json has neither objects nor num_boxes and features; "
            "check --from, or get the file again"
        )
    return _from_features(item["num_boxes"], item["features"], row.where, reading)


def _from_features(number: object, text: object, where: str, reading: Reading) -> Found:
    count = numbers.whole_number(number, where, "num_boxes")
    features, note = numbers.features(text, count, where, reading)
    geometry = features[:, DIMENSION : DIMENSION + 4] if features.shape[1] == WITH_BOX else None
    if geometry is not None and not (like_fractions(geometry) and (geometry[:, 2:] >= geometry[:, :2]).all()):
        geometry = None
    return Found(RegionRecord(_shortened(features, where), geometry), (note,), fractions=True)


def _shortened(features: np.ndarray, where: str) -> np.ndarray:
    if features.shape[1] > DIMENSION and features.shape[1] != WITH_BOX:
        raise InputError(
            f"{where} has features of {features.shape[1]} numbers, and VinVL's have {DIMENSION} or {WITH_BOX}; say "
            "with --dtype-of-source of which type they are, or check --from"
        )
    return features[:, :DIMENSION]


def _from_objects(item: Mapping[str, Any], where: str, reading: Reading) -> Found:
    objects = item["objects"]
    if not isinstance(objects, list) or not objects or not all(isinstance(one, dict) for one in objects):
        raise InputError(f"{where} has no objects; extract the image's features again")
    parts = [numbers.features(one.get("feature"), 1, where, reading) for one in objects]
    if len({part.shape for part, _ in parts}) > 1:
        raise InputError(f"{where} has features of several lengths; get or make the file again")
    boxes = boxes_of_lists([one.get("rect") for one in objects], where)
    width, height = (numbers.whole_number(item.get(name), where, name) for name in ("image_w", "image_h"))
    confidence = [one.get("conf") for one in objects]
    known = all(type(one) in (int, float) for one in confidence)
    record = RegionRecord(
        _shortened(np.concatenate([part for part, _ in parts]), where),
        within_image(boxes, width, height, where),
        width,
        height,
        scores=np.array(confidence, np.float32) if known else None,
    )
    return Found(record, (parts[0][1],))
