"""Regions of a few images at once, in memory: for one answer, without a store."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction import presets
from mmf_visualbert.features.extraction.detector import build_detector
from mmf_visualbert.features.extraction.extract import extract
from mmf_visualbert.features.extraction.images import ImageFile, image_size
from mmf_visualbert.features.store import FeatureStore, RegionRecord


class Photographer:
    """A detector that is built once and asked often.

    Args:
        detector: a preset or yaml, as `visualbert extract` takes it.
        weights: a file, or "zoo".

    Raises:
        InputError: where the detector is not known, or what it needs is not installed.
    """

    def __init__(self, detector: str, weights: str = "zoo") -> None:
        self.preset = presets.load(detector)
        self.built = build_detector(self.preset, weights)

    def __call__(self, photographs: Sequence[Any]) -> list[RegionRecord]:
        """The regions of each.

        Args:
            photographs: a path, the bytes of a file, an image of PIL, or an array (height, width, 3) uint8 in RGB each.

        Raises:
            InputError: for what is no image, naming its place among them.
        """
        with tempfile.TemporaryDirectory() as folder:
            files = [
                ImageFile(f"image{number}", str(file_of(one, Path(folder) / f"image{number}", f"image {number + 1}")))
                for number, one in enumerate(photographs)
            ]
            out = Path(folder) / "regions.lmdb"
            extract(files, out, self.preset, self.built, workers=0, dtype="float32", strict=True, progress=False)
            store = FeatureStore(out)
            return [store.read(file.key).copy() for file in files]


def file_of(photograph: Any, path: Path, where: str) -> Path:
    """A file with the image: its own, or one that is written as `path` + .png.

    Raises:
        InputError: for what is no image.
    """
    from PIL import Image

    if isinstance(photograph, str | Path):
        return Path(photograph)
    if isinstance(photograph, bytes):
        path.write_bytes(photograph)
        try:
            image_size(str(path))
        except InputError as error:
            raise InputError(f"{where} is no image that can be read ({error}); give another") from error
        return path
    if isinstance(photograph, np.ndarray):
        if photograph.dtype != np.uint8 or photograph.ndim != 3 or photograph.shape[2] != 3 or not photograph.size:
            raise InputError(
                f"{where} is an array of {photograph.dtype} of shape {photograph.shape}; give (height, width, 3) uint8"
            )
        photograph = Image.fromarray(photograph)
    if not isinstance(photograph, Image.Image):
        raise InputError(
            f"{where} is of type {type(photograph).__name__}; give a path, bytes, an array, or PIL's image"
        )
    if 0 in photograph.size:
        raise InputError(f"{where} has no pixels ({photograph.width} x {photograph.height}); give another")
    photograph.convert("RGB").save(path.with_suffix(".png"))
    return path.with_suffix(".png")
