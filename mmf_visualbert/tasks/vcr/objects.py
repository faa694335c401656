"""The objects of a frame: their boxes, polygons and classes, from VCR's metadata or a detector's file (§4.2)."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import numpy as np
from msgspec import Meta, Struct

from mmf_visualbert.contracts import RegionQuery
from mmf_visualbert.errors import InputError
from mmf_visualbert.files.typed import Name, Pixels, Schema
from mmf_visualbert.tasks.vcr.names import PERSON
from mmf_visualbert.tasks.vcr.ontology import CLASS_IDS, spelled
from mmf_visualbert.tasks.vcr.records import Tokens, VcrRecord

EVERYONE = ("everyone", "everyones")
Box: TypeAlias = Annotated[list[float], Meta(min_length=4, max_length=8)]
Polygon: TypeAlias = list[tuple[float, float]]
FARTHEST = 16  # sides of a frame; polygons lie a few pixels outside it at most
TOLERANCE = 1.0  # pixels by which a detector's rounding may carry a box over the frame's edge


class Metadata(Struct, gc=False):
    """A frame's json file, or what a detector's file has for an image."""

    boxes: list[Box]
    segms: list[list[Polygon]]
    names: list[Name]
    width: Pixels
    height: Pixels


METADATA = Schema(Metadata, "use the official file")


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
    where = f"{record.where}: the metadata {path}"
    objects = parse_objects(METADATA.read(path), where)
    found, stated = objects.classes.tolist(), record.objects or ()
    if found != [CLASS_IDS[name] for name in stated]:
        raise InputError(
            f"{record.where}: its {len(stated)} objects are not the {len(found)} of the metadata {path}; "
            "use annotations and images of one release"
        )
    return objects


def parse_objects(fields: Metadata, where: str) -> FrameObjects:
    """Objects from `boxes` [x1, y1, x2, y2, confidence], `segms`, `names`, `width` and `height`.

    A name is a class, or, as detectors write it, a number and the class: `1 (person)`.

    Raises:
        InputError: for lists of different lengths, an unknown class, a box outside the frame or without area, or a
            polygon far outside it.
    """
    boxes, segments, names = fields.boxes, fields.segms, fields.names
    if not len(boxes) == len(segments) == len(names):
        raise InputError(
            f"{where} has {len(boxes)} boxes, {len(segments)} segms and {len(names)} names; "
            "each object needs one of each, download it again"
        )
    width, height = fields.width, fields.height
    classes = [_class_id(name, f"{where} calls object {index}") for index, name in enumerate(names)]
    return FrameObjects(
        boxes=_boxes(boxes, width, height, where),
        polygons=[_polygons(polygons, index, max(width, height), where) for index, polygons in enumerate(segments)],
        classes=np.array(classes, dtype=np.int64),
        width=width,
        height=height,
    )


def mentioned_objects(record: VcrRecord) -> list[int]:
    """Indices of the objects that are regions, ascending: those mentioned in the question or in any of the choices.

    "everyone" mentions every person; where nothing is mentioned, every person is a region. All eight choices count in
    both subtasks, as in the released code, so that a question has the same regions in all phases.
    """
    return mentioned_in((record.question, *record.answers, *record.rationales), record.objects)


def mentioned_in(texts: Iterable[Tokens], objects: Sequence[str]) -> list[int]:
    """Indices of the objects that are mentioned in any of the texts, every person where none is; ascending.

    Args:
        texts: words and tags.
        objects: class name of each object of the frame.
    """
    persons = {index for index, name in enumerate(objects) if name == PERSON}
    mentioned: set[int] = set()
    for token in itertools.chain.from_iterable(texts):
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


def _class_id(name: str, where: str) -> int:
    word = name
    if word.endswith(")") and "(" in word:
        word = word[word.index("(") + 1 : -1]
    class_id = CLASS_IDS.get(spelled(word), 0)
    if class_id == 0:
        raise InputError(f"{where} '{name}', which is none of COCO's 80 classes; mend its name")
    return class_id


def _boxes(boxes: Sequence[Sequence[float]], width: int, height: int, where: str) -> np.ndarray:
    corners = np.array([box[:4] for box in boxes], dtype=np.float64).reshape(len(boxes), 4)
    for index, (x1, y1, x2, y2) in enumerate(corners):
        shown = f"box {index} ({x1:g}, {y1:g}, {x2:g}, {y2:g})"
        if not (x2 > x1 and y2 > y1):
            raise InputError(f"{where} has {shown} without area; mend the box")
        if x1 < -TOLERANCE or y1 < -TOLERANCE or x2 > width + TOLERANCE or y2 > height + TOLERANCE:
            raise InputError(f"{where} has {shown} outside its frame of {width}x{height} pixels; mend the box")
    return corners


def _polygons(polygons: list[Polygon], index: int, side: int, where: str) -> list[np.ndarray]:
    points = [np.array(polygon, dtype=np.float64).reshape(-1, 2) for polygon in polygons]
    if any((np.abs(polygon) > FARTHEST * side).any() for polygon in points):
        raise InputError(f"{where} has a polygon of object {index} far outside its frame; download it again")
    return [polygon.astype(np.float32) for polygon in points]
