"""Feature stores of the world's pictures."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.sampleworld.files import stream
from mmf_visualbert.sampleworld.images import Picture
from mmf_visualbert.sampleworld.regions import Detector, Regions
from mmf_visualbert.sampleworld.words import COLORS, SHAPES

CLASSES: tuple[str, ...] = (*SHAPES, "ground")
ATTRIBUTES: tuple[str, ...] = (*COLORS, "grey")


class PictureFeatures:
    """Detects the regions of pictures and adds them to one store for each detector."""

    def __init__(self, seed: int, writers: list[tuple[Detector, FeatureStoreWriter]]) -> None:
        self.seed, self.writers = seed, writers

    def add(self, picture: Picture, pixels: np.ndarray) -> None:
        """Adds the picture, whose pixels are (H, W, 3) uint8."""
        things = [thing.box for thing in picture.scene.things]
        for detector, writer in self.writers:
            regions = detector.detect(pixels, things, stream(self.seed, "regions", detector.name, picture.key))
            writer.add(picture.key, record_of(regions, picture))


@contextmanager
def feature_stores(seed: int, paths: dict[Path, Detector]) -> Iterator[PictureFeatures]:
    """Opens a store at each path; all are finished when the block ends without an error."""
    with ExitStack() as stack:
        writers = [(detector, stack.enter_context(_writer(path, detector))) for path, detector in paths.items()]
        yield PictureFeatures(seed, writers)


def _writer(path: Path, detector: Detector) -> FeatureStoreWriter:
    least, most = detector.regions
    info = StoreInfo(
        detector=detector.name,
        dimension=detector.dimension,
        regions=most,
        layer="descriptor",
        selection=f"score, {least} to {most}",
    )
    return FeatureStoreWriter(path, info, dtype="float16")


def record_of(regions: Regions, picture: Picture) -> RegionRecord:
    """The regions as a store keeps them; classes and attributes are numbered as in CLASSES and ATTRIBUTES."""
    return RegionRecord(
        features=regions.features.astype(np.float16),
        boxes=regions.boxes,
        width=picture.width,
        height=picture.height,
        class_ids=regions.classes,
        scores=regions.scores,
        attribute_ids=regions.attributes,
    )
