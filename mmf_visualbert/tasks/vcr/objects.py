"""The objects of a frame: their boxes, polygons and classes, from VCR's metadata or a detector's file (§4.2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmf_visualbert.contracts import RegionQuery
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json
from mmf_visualbert.tasks.vcr.names import PERSON
from mmf_visualbert.tasks.vcr.ontology import CLASS_IDS, spelled
from mmf_visualbert.tasks.vcr.records import Tokens, VcrRecord

EVERYONE = ("everyone", "everyones")
TOLERANCE = 1.0  # pixels by which a detector's rounding may carry a box over the frame's edge


class FrameObjects(NamedTuple):
    """What a frame shows; N objects.

    Attributes:
        boxes: (N, 4) float64, x1, y1, x2, y2 in pixels of the frame.
        polygons: for each object, its polygons (V, 2) float32 in pixels of the frame.
        classes: (N,) int64, 1 to 80.
        width, height: of the frame, in pixels.
    """

    boxes: np.ndarray
    polygons: list[list[np.ndarray]]
    classes: np.ndarray
    width: int
    height: int


def read_objects(path: Path, record: RegionQuery) -> FrameObjects:
    """The objects of a frame, checked against what the record says that it shows.

    Raises:
        InputError: where the file is missing or no metadata, or does not fit itself or the record.
    """
    if not path.is_file():
        raise InputError(f"{record.where}: the metadata {path} is missing; unpack the images so that this file exists")
    fields = read_json(path)
    if not isinstance(fields, dict):
        raise InputError(f"{record.where}: the metadata {path} is not a JSON object; download it again")
    objects = parse_objects(fields, f"{record.where}: the metadata {path}")
    found, stated = objects.classes.tolist(), record.objects or ()
    if found != [CLASS_IDS[name] for name in stated]:
        raise InputError(
            f"{record.where}: its {len(stated)} objects are not the {len(found)} of the metadata {path}; "
            "use annotations and images of one release"
        )
    return objects


def parse_objects(fields: Mapping[str, Any], where: str) -> FrameObjects:
    """Objects from `boxes` [x1, y1, x2, y2, confidence], `segms`, `names`, `width` and `height`.

    A name is a class, or, as detectors write it, a number and the class: `1 (person)`.

    Raises:
        InputError: for a missing field, lists of different lengths, an unknown class, a box outside the frame or
            without area, or a polygon that is no list of points.
    """
    missing = [name for name in ("boxes", "segms", "names", "width", "height") if name not in fields]
    if missing:
        raise InputError(f"{where} has no '{missing[0]}'; use the official file")
    boxes, segments, names = (list(fields[name]) for name in ("boxes", "segms", "names"))
    if not len(boxes) == len(segments) == len(names):
        raise InputError(
            f"{where} has {len(boxes)} boxes, {len(segments)} segms and {len(names)} names; "
            "each object needs one of each, download it again"
        )
    width, height = int(fields["width"]), int(fields["height"])
    classes = [_class_id(name, f"{where} calls object {index}") for index, name in enumerate(names)]
    return FrameObjects(
        boxes=_boxes(boxes, width, height, where),
        polygons=[_polygons(polygons, index, where) for index, polygons in enumerate(segments)],
        classes=np.array(classes, dtype=np.int64),
        width=width,
        height=height,
    )


def mentioned_objects(record: VcrRecord) -> list[int]:
    """Indices of the objects that are regions, ascending: those mentioned in the question or in any of the choices.

    "everyone" mentions every person; where nothing is mentioned, every person is a region. All eight choices count in
    both subtasks, as in the released code, so that a question has the same regions in all phases.
    """
    persons = {index for index, name in enumerate(record.objects) if name == PERSON}
    mentioned: set[int] = set()
    for tokens in (record.question, *record.answers, *record.rationales):
        for token in tokens:
            if not isinstance(token, str):
                mentioned.update(token)
            elif token.lower() in EVERYONE:
                mentioned |= persons
    return sorted(mentioned or persons)


def most_mentions(record: VcrRecord) -> dict[int, int]:
    """For each mentioned object, a bound on its mentions in one sequence: question, one answer and one rationale."""
    bounds = _mentions(record.question)
    for choices in (record.answers, record.rationales):
        counts = [_mentions(choice) for choice in choices]
        for index in {index for count in counts for index in count}:
            bounds[index] = bounds.get(index, 0) + max(count.get(index, 0) for count in counts)
    return bounds


def _mentions(tokens: Tokens) -> dict[int, int]:
    counts: dict[int, int] = {}
    for token in tokens:
        for index in token if not isinstance(token, str) else ():
            counts[index] = counts.get(index, 0) + 1
    return counts


def _class_id(name: Any, where: str) -> int:
    word = str(name)
    if word.endswith(")") and "(" in word:
        word = word[word.index("(") + 1 : -1]
    class_id = CLASS_IDS.get(spelled(word), 0)
    if class_id == 0:
        raise InputError(f"{where} '{name}', which is none of COCO's 80 classes; mend its name")
    return class_id


def _boxes(boxes: Sequence[Sequence[float]], width: int, height: int, where: str) -> np.ndarray:
    try:
        corners = np.array([box[:4] for box in boxes], dtype=np.float64).reshape(len(boxes), 4)
    except (TypeError, ValueError):
        raise InputError(f"{where} has a box that is not a list of at least 4 numbers; download it again") from None
    for index, (x1, y1, x2, y2) in enumerate(corners):
        shown = f"box {index} ({x1:g}, {y1:g}, {x2:g}, {y2:g})"
        if not (x2 > x1 and y2 > y1):
            raise InputError(f"{where} has {shown} without area; mend the box")
        if x1 < -TOLERANCE or y1 < -TOLERANCE or x2 > width + TOLERANCE or y2 > height + TOLERANCE:
            raise InputError(f"{where} has {shown} outside its frame of {width}x{height} pixels; mend the box")
    return corners


def _polygons(polygons: Any, index: int, where: str) -> list[np.ndarray]:
    try:
        points = [np.asarray(polygon, dtype=np.float32) for polygon in polygons]
    except (TypeError, ValueError):
        points = [np.zeros(0, dtype=np.float32)]
    if any(polygon.ndim != 2 or polygon.shape[1] != 2 for polygon in points):
        raise InputError(
            f"{where} has a polygon of object {index} that is not a list of points [x, y]; download it again"
        )
    return points
