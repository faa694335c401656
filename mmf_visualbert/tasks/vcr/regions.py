"""Regions of VCR's frames and of other images with given detections: the whole image first, then objects (§4.2).

Three sources, one shape: frames for a backbone that is part of the model, features that a fixed backbone made before,
and any images with a detector's file (captions). What they give is padded to R regions.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from msgspec import Raw
from PIL import Image
from torch import Tensor

from mmf_visualbert.contracts import RegionQuery
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.files import require, require_below
from mmf_visualbert.files.typed import Name, Schema
from mmf_visualbert.tasks.vcr.frames import Placement, frame_tensor, load_frame, place
from mmf_visualbert.tasks.vcr.objects import FrameObjects, Metadata, parse_objects, read_objects
from mmf_visualbert.tasks.vcr.ontology import BACKGROUND, CLASS_IDS
from mmf_visualbert.tasks.vcr.segmentation import MASK_SIZE, rasterise

CANVAS = (768, 384)
WHOLE_IMAGE = CLASS_IDS[BACKGROUND]


DETECTIONS = Schema(dict[Name, Raw], "write a dictionary of detections by image file")
DETECTION: Schema[Metadata | None] = Schema(Optional[Metadata], "write it as VCR's metadata")  # type: ignore[arg-type]  # noqa: UP045


def require_stored(store: FeatureStore, queries: Iterable[RegionQuery]) -> None:
    """Refuses a store that lacks an image, naming the first.

    Raises:
        InputError: saying how its features are made.
    """
    asked: dict[str, RegionQuery] = {}
    for query in queries:
        asked.setdefault(query.key, query)
    lacking = store.lacking(asked)
    if lacking:
        raise InputError(
            f"{asked[lacking[0]].where}: {', '.join(store.paths)} has no features of '{lacking[0]}'; make them with "
            "visualbert vcr features"
        )


class FrameRegions:
    """Frames with boxes and masks, for a backbone that is part of the model.

    Args:
        images: folder of the frames and their metadata (`vcr1images`).
        canvas: (width, height) in pixels that frames are scaled and padded to.
        random_offset: place frames anywhere in the canvas instead of in its middle, as the released code in training.
        check_metadata: whether `check` also reads the metadata, which takes some time on slow disks.
    """

    def __init__(
        self,
        images: Path,
        canvas: Sequence[int] = CANVAS,
        random_offset: bool = False,
        check_metadata: bool = True,
    ) -> None:
        self.images = images
        self.canvas = tuple(canvas)
        self.random_offset = random_offset
        self.check_metadata = check_metadata
        self._checked: set[tuple[str, tuple[str, ...] | None]] = set()

    def check(self, queries: Iterable[RegionQuery]) -> None:
        """Raises InputError where a frame or its metadata is missing, or the metadata is faulty.

        Frames are decoded only when they are needed.
        """
        for query in queries:
            if (query.key, query.objects) in self._checked:
                continue
            if not self.frame(query).is_file():
                raise InputError(
                    f"{query.where}: the frame {self.frame(query)} is missing; unpack the images so that this file "
                    "exists"
                )
            if self.check_metadata:
                self.objects(query)
            self._checked.add((query.key, query.objects))

    def frame(self, query: RegionQuery) -> Path:
        """The image's file."""
        return self.images / (query.image or query.key)

    def objects(self, query: RegionQuery) -> FrameObjects:
        """What the frame's metadata says that it shows.

        Raises:
            InputError: where it is missing, faulty, or does not fit the record.
        """
        return read_objects(self.images / f"{query.key}.json", query)

    def count(self, query: RegionQuery) -> int:
        """The whole image, and the objects that are asked for."""
        return 1 + len(self.objects(query).classes if query.chosen is None else query.chosen)

    def tensors(self, query: RegionQuery, max_regions: int | None = None) -> dict[str, Tensor]:
        """`image` (3, H, W) and the tensors of `region_tensors`."""
        objects = self.objects(query)
        image = load_frame(self.frame(query), query.where, (objects.width, objects.height))
        placement = place(image.size, self.canvas, self.random_offset)
        chosen = range(len(objects.classes)) if query.chosen is None else query.chosen
        tensors = region_tensors(objects, chosen, placement, max_regions or 1 + len(chosen))
        tensors["image"] = frame_tensor(image, placement, self.canvas)
        return tensors


class StoredRegions:
    """Vectors that a fixed backbone made of all objects of a frame (`visualbert vcr features`).

    Args:
        store: keys as `VcrRecord.query` has them; the first region is the whole image, then all objects in their
            order, with classes.
    """

    def __init__(self, store: FeatureStore) -> None:
        self.store = store

    def check(self, queries: Iterable[RegionQuery]) -> None:
        """Raises InputError where the store lacks a frame."""
        require_stored(self.store, queries)

    def count(self, query: RegionQuery) -> int:
        """The whole image, and the objects that are asked for."""
        return 1 + len((query.objects or ()) if query.chosen is None else query.chosen)

    def tensors(self, query: RegionQuery, max_regions: int | None = None) -> dict[str, Tensor]:
        """`region_features` (R, P) as stored, `region_classes`, `region_mask`, `region_segments` (R,)."""
        stored = self.store.read(query.key)
        classes = [WHOLE_IMAGE, *(CLASS_IDS[name] for name in query.objects or ())]
        if stored.class_ids is None or (stored.class_ids + 1).tolist() != classes:
            raise InputError(
                f"{query.where}: the objects of '{query.key}' in {', '.join(self.store.paths)} are not the record's; "
                "make the features anew from these annotations"
            )
        chosen = range(len(classes) - 1) if query.chosen is None else query.chosen
        rows = [0, *(index + 1 for index in chosen)]
        return stored_tensors(stored.features, np.array(classes), rows, max_regions or len(rows))


class DetectedRegions:
    """All detections of any images, for a backbone that is part of the model: a region source of captions.

    Args:
        detections: JSON files, image file name -> {boxes, segms, names, width, height} as VCR's metadata, or null for
            an image in which the detector found nothing (it has the whole image as its only region).
        images: folders that hold the images, searched in order.
        canvas, random_offset: as in `FrameRegions`.
        max_regions: R; None for the most that any image has.

    Raises:
        InputError: for a faulty file, or an image with more than R regions.
    """

    def __init__(
        self,
        detections: Sequence[Path],
        images: Sequence[Path],
        canvas: Sequence[int] = CANVAS,
        random_offset: bool = False,
        max_regions: int | None = None,
    ) -> None:
        self.folders = list(images)
        self.canvas = tuple(canvas)
        self.random_offset = random_offset
        self.files: dict[str, str] = {}
        self.objects: dict[str, FrameObjects | None] = {}
        self.detections = ", ".join(str(path) for path in detections)
        for path in detections:
            for file, objects in _read_detections(Path(path), require(path).stat().st_mtime_ns).items():
                key = str(Path(file).with_suffix(""))
                self.files[key], self.objects[key] = file, objects
        counts = {key: 1 + (len(objects.classes) if objects else 0) for key, objects in self.objects.items()}
        most = max(counts, key=counts.__getitem__, default=None)
        self.max_regions = max_regions or (counts[most] if most else 1)
        if most and counts[most] > self.max_regions:
            raise InputError(
                f"{self.detections}: the image {self.files[most]} has {counts[most]} regions with the whole image, but "
                f"max_regions is {self.max_regions}; raise it"
            )

    def check(self, queries: Iterable[RegionQuery]) -> None:
        """Checks that every image is there and has an entry.

        Raises:
            InputError: naming the first image for which that is not so.
        """
        checked = set()
        for query in queries:
            if query.key in checked:
                continue
            if query.key not in self.files:
                raise InputError(
                    f"{query.where}: {self.detections} has no entry for '{query.key}'; run the detector over it, or "
                    "write null for an image in which it finds nothing"
                )
            self.path(query.key, query.where)
            checked.add(query.key)

    def path(self, key: str, name: str) -> Path:
        """The image's file.

        Raises:
            InputError: where no folder holds it.
        """
        for folder in self.folders:
            if (folder / self.files[key]).is_file():
                return folder / self.files[key]
        folders = " and ".join(str(folder) for folder in self.folders)
        raise InputError(f"{name}: the image {self.files[key]} is missing in {folders}; unpack the images there")

    def size(self, key: str) -> tuple[int, int]:
        """Width and height of an image, in pixels."""
        objects = self.objects[key]
        if objects is not None:
            return objects.width, objects.height
        with Image.open(self.path(key, key)) as image:
            return image.size

    def count(self, query: RegionQuery) -> int:
        """The whole image, and what was detected."""
        objects = self.objects[query.key]
        return 1 if objects is None else 1 + len(objects.classes)

    def tensors(self, query: RegionQuery, max_regions: int | None = None) -> dict[str, Tensor]:
        """`image` (3, H, W) and the tensors of `region_tensors`, of all detections."""
        key = query.key
        objects = self.objects[key]
        size = (objects.width, objects.height) if objects else None
        image = load_frame(self.path(key, key), key, size, greyscale=True)
        placement = place(image.size, self.canvas, self.random_offset)
        if objects is None:
            objects = FrameObjects(np.zeros((0, 4)), [], np.zeros(0, dtype=np.int64), *image.size)
        tensors = region_tensors(objects, range(len(objects.classes)), placement, max_regions or self.max_regions)
        tensors["image"] = frame_tensor(image, placement, self.canvas)
        return tensors


class StoredDetections:
    """Vectors that a fixed backbone made of all detections of an image: a region source of captions.

    Args:
        store: keys are image file names without extension; the first region is the whole image, with classes.
        max_regions: R.
    """

    def __init__(self, store: FeatureStore, max_regions: int) -> None:
        self.store = store
        self.max_regions = max_regions

    def check(self, queries: Iterable[RegionQuery]) -> None:
        """Raises InputError where the store lacks an image, naming the first."""
        require_stored(self.store, queries)

    def count(self, query: RegionQuery) -> int:
        """The regions that are stored."""
        return len(self.store.read(query.key).features)

    def tensors(self, query: RegionQuery, max_regions: int | None = None) -> dict[str, Tensor]:
        """`region_features` (R, P) as stored, `region_classes`, `region_mask`, `region_segments` (R,)."""
        stored, most = self.store.read(query.key), max_regions or self.max_regions
        if stored.class_ids is None or len(stored.features) > most:
            fault = "no classes" if stored.class_ids is None else f"{len(stored.features)} regions"
            raise InputError(
                f"the features of '{query.key}' in {', '.join(self.store.paths)} have {fault} for max_regions {most}; "
                "raise it, or make the features with visualbert vcr features"
            )
        return stored_tensors(stored.features, stored.class_ids + 1, range(len(stored.features)), most)


def region_tensors(
    objects: FrameObjects, chosen: Sequence[int], placement: Placement, max_regions: int
) -> dict[str, Tensor]:
    """Boxes, masks and classes of the whole image and the chosen objects, padded to R = max_regions.

    Returns:
        `region_pixel_boxes` (R, 4) float32 in pixels of the canvas, `region_masks` (R, 14, 14) float32,
        `region_classes` (R,) int64, `region_mask` (R,) bool, `region_segments` (R,) int64 zeros.
    """
    count = 1 + len(chosen)
    boxes = np.zeros((max_regions, 4), dtype=np.float32)
    shapes = np.zeros((max_regions, MASK_SIZE, MASK_SIZE), dtype=np.float32)
    classes = np.full(max_regions, WHOLE_IMAGE, dtype=np.int64)
    boxes[0], shapes[0] = placement.window, 1
    boxes[1:count] = placement.boxes(objects.boxes[list(chosen)])
    classes[1:count] = objects.classes[list(chosen)]
    for row, index in enumerate(chosen, start=1):
        shapes[row] = rasterise(objects.boxes[index], objects.polygons[index])
    return {
        "region_pixel_boxes": torch.from_numpy(boxes),
        "region_masks": torch.from_numpy(shapes),
        "region_classes": torch.from_numpy(classes),
        **_presence(count, max_regions),
    }


def stored_tensors(
    features: np.ndarray, classes: np.ndarray, rows: Sequence[int], max_regions: int
) -> dict[str, Tensor]:
    """The named rows of stored vectors (N, P) and classes (N,), padded to R = max_regions."""
    count = len(rows)
    padded = np.zeros((max_regions, features.shape[1]), dtype=features.dtype)
    padded[:count] = features[list(rows)]
    padded_classes = np.full(max_regions, WHOLE_IMAGE, dtype=np.int64)
    padded_classes[:count] = classes[list(rows)]
    return {
        "region_features": torch.from_numpy(padded),
        "region_classes": torch.from_numpy(padded_classes),
        **_presence(count, max_regions),
    }


def _presence(count: int, max_regions: int) -> dict[str, Tensor]:
    mask = torch.zeros(max_regions, dtype=torch.bool)
    mask[:count] = True
    return {"region_mask": mask, "region_segments": torch.zeros(max_regions, dtype=torch.int64)}


@lru_cache(maxsize=4)
def _read_detections(path: Path, changed: int) -> dict[str, FrameObjects | None]:
    """Image file -> its objects. Kept, because all splits of COCO's captions draw on the same large files.

    Args:
        path: the file.
        changed: when it was, so that what is kept is not older than the file.
    """
    del changed
    # One after the other: as lists of numbers, all polygons together would not fit into memory.
    found: dict[str, FrameObjects | None] = {}
    for file, raw in DETECTIONS.read(path).items():
        where = f"{path}: the image {file}"
        require_below(file, f"{path}: an image")
        fields = DETECTION.decode(raw, where)
        found[file] = None if fields is None else parse_objects(fields, where)
    return found
