"""A detector that needs no detectron2, and images to extract from. Run as a script, it extracts and can be killed."""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mmf_visualbert.features.extraction.detector import Built, Regions
from mmf_visualbert.features.extraction.extract import extract
from mmf_visualbert.features.extraction.images import find_images
from mmf_visualbert.features.extraction.presets import DetectorPreset
from mmf_visualbert.features.extraction.selection import Selection

PRESET = DetectorPreset("grid", "none", "mean", Selection(4, 4), dimension=3, shortest=32, longest=64)


class GridDetector:
    """Four regions an image, its quarters; their features are the mean colours. Given boxes are taken as they are."""

    precision = "fp32"
    dimension = 3

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[int] = []

    def __call__(self, images: list[torch.Tensor], given: list[torch.Tensor] | None = None) -> list[Regions]:
        time.sleep(self.seconds)
        self.batches.append(len(images))
        return [self.regions(image, None if given is None else given[place]) for place, image in enumerate(images)]

    @staticmethod
    def regions(image: torch.Tensor, boxes: torch.Tensor | None) -> Regions:
        height, width = image.shape[1:]
        if boxes is None:
            quarters = [(x, y, x + width / 2, y + height / 2) for y in (0, height / 2) for x in (0, width / 2)]
            boxes = torch.tensor(quarters)
        means = [
            image[:, int(y1) : max(int(y2), int(y1) + 1), int(x1) : max(int(x2), int(x1) + 1)].float().mean((1, 2))
            for x1, y1, x2, y2 in boxes.tolist()
        ]
        count = len(boxes)
        return Regions(torch.stack(means), boxes, torch.arange(count), torch.linspace(1, 0.5, count))


def built(seconds: float = 0.0) -> Built:
    return Built(GridDetector(seconds), "none", "")


def make_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        size = [(40, 30), (30, 40), (64, 32)][number % 3]
        pixels = generator.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"image{number:03d}.png")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("out")
    parser.add_argument("--seconds", type=float, default=0.0)
    options = parser.parse_args()
    files = find_images(options.images)
    settings = dict(batch_size=4, workers=1, progress=False, commit_seconds=0.05)
    extract(files, options.out, PRESET, built(options.seconds), **settings)


if __name__ == "__main__":
    main()
