"""Vectors of a fixed RoI backbone, made once and kept in a feature store (§4.2, footnote 3)."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from mmf_visualbert.contracts import RegionQuery
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.tasks.vcr.records import VcrAnnotations
from mmf_visualbert.tasks.vcr.regions import DetectedRegions, FrameRegions
from mmf_visualbert.tasks.vcr.roi_backbone import RoiBackbone

BACKBONE_INPUTS = ("region_pixel_boxes", "region_masks", "region_mask")


class Frame(NamedTuple):
    """An image with all its regions, the whole image first.

    Attributes:
        key: of the feature store.
        tensors: as a region source gives them.
        boxes: (N, 4) float32, x1, y1, x2, y2 in pixels of the image as it is on disk, cut at its edges.
        width, height: of that image, in pixels.
    """

    key: str
    tensors: dict[str, Tensor]
    boxes: np.ndarray
    width: int
    height: int


class Frames(Protocol):
    """Images whose vectors are to be made."""

    @property
    def keys(self) -> Sequence[str]:
        """Of all images."""

    @property
    def max_regions(self) -> int:
        """The most regions of any image."""

    def frame(self, key: str) -> Frame:
        """An image by its key."""


class FramesOfRecords:
    """The frames that VCR's annotations name, each once.

    Args:
        annotations: the records; their labels are not read.
        regions: gives frames, without random offset.

    Raises:
        InputError: where a frame or its metadata is missing or faulty.
    """

    def __init__(self, annotations: VcrAnnotations, regions: FrameRegions) -> None:
        self.regions = regions
        self.queries: dict[str, RegionQuery] = {}
        for record in annotations:
            query = record.query()
            regions.check([query])
            self.queries.setdefault(query.key, query)
        self.keys = list(self.queries)
        self.max_regions = 1 + max(len(query.objects or ()) for query in self.queries.values())

    def frame(self, key: str) -> Frame:
        """All objects of a frame."""
        query = self.queries[key]
        objects, tensors = self.regions.objects(query), self.regions.tensors(query)
        return Frame(
            key, tensors, _with_whole(objects.boxes, objects.width, objects.height), objects.width, objects.height
        )


class FramesOfDetections:
    """The images of a detector's file.

    Args:
        regions: gives images, without random offset.
    """

    def __init__(self, regions: DetectedRegions) -> None:
        regions.check(RegionQuery(key, f"the image {file}") for key, file in regions.files.items())
        self.regions = regions
        self.keys = list(regions.files)
        self.max_regions = regions.max_regions

    def frame(self, key: str) -> Frame:
        """All detections of an image."""
        tensors = self.regions.tensors(RegionQuery(key, f"the image {key}"))
        objects, (width, height) = self.regions.objects[key], self.regions.size(key)
        boxes = np.zeros((0, 4)) if objects is None else objects.boxes
        return Frame(key, tensors, _with_whole(boxes, width, height), width, height)


def _with_whole(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    whole = np.array([[0, 0, width, height]], dtype=np.float64)
    return np.concatenate((whole, boxes)).clip(0, whole[0, [2, 3, 2, 3]]).astype(np.float32)


def store_info(frames: Frames, backbone: RoiBackbone, name: str, weights: str, canvas: Sequence[int]) -> StoreInfo:
    """What the store says about itself.

    Args:
        frames: what is in it.
        backbone: made the vectors.
        name, weights: of the backbone, as configured.
        canvas: (width, height) of the images it saw, in pixels.
    """
    digest = hashlib.sha256()
    for key, value in sorted(backbone.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.cpu().numpy().tobytes())
    return StoreInfo(
        detector=f"given boxes, {name} with RoIAlign",
        dimension=backbone.dimension,
        regions=frames.max_regions,
        layer="layer4",
        weights=weights,
        weights_hash=digest.hexdigest()[:16],
        selection=f"the whole image (class -1), then all objects, in a canvas of {canvas[0]}x{canvas[1]}",
    )


def extract(
    frames: Frames,
    backbone: RoiBackbone,
    writer: FeatureStoreWriter,
    *,
    batch_size: int = 8,
    workers: int = 0,
    device: str = "cpu",
) -> Iterator[int]:
    """Runs the backbone over all frames that the writer lacks and adds their vectors; yields the size of each batch.

    Class ids are stored as detectors count them, without a background: -1 for the whole image.

    Raises:
        InputError: for a frame that cannot be used.
    """
    backbone = backbone.to(device).eval()
    keys = [key for key in frames.keys if key not in writer]
    loader = DataLoader(_ByKey(frames, keys), batch_size, num_workers=workers, collate_fn=list)
    for batch in loader:
        for frame, vectors in zip(batch, vectors_of([each.tensors for each in batch], backbone, device), strict=True):
            classes = frame.tensors["region_classes"][frame.tensors["region_mask"]].numpy() - 1
            writer.add(frame.key, RegionRecord(vectors, frame.boxes, frame.width, frame.height, classes))
        yield len(batch)


@torch.no_grad()
def vectors_of(samples: Sequence[dict[str, Tensor]], backbone: RoiBackbone, device: str = "cpu") -> list[np.ndarray]:
    """The backbone's vectors of each image's regions: (N, P) float32 each."""
    image = torch.stack([sample["image"] for sample in samples]).to(device)
    inputs = [pad_sequence([each[name] for each in samples], batch_first=True).to(device) for name in BACKBONE_INPUTS]
    counts = [int(sample["region_mask"].sum()) for sample in samples]
    return [part.float().cpu().numpy() for part in backbone(image, *inputs).split(counts)]


class _ByKey(Dataset):
    def __init__(self, frames: Frames, keys: Sequence[str]) -> None:
        self.frames, self.keys = frames, keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Frame:
        return self.frames.frame(self.keys[index])
