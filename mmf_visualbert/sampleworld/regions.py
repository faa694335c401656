"""The world's detector: boxes as a detector finds them, and their features.

Boxes jitter around the things, a few things are missed, and parts, double hits and mere ground come along; the most
confident region stands first.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from mmf_visualbert.sampleworld.descriptor import LENGTH, WEIGHTS, Description, describe
from mmf_visualbert.sampleworld.draw import draw_scene
from mmf_visualbert.sampleworld.scene import HEIGHT, WIDTH, random_scene
from mmf_visualbert.sampleworld.words import COLORS, SHAPES

Box = tuple[float, float, float, float]


class Regions(NamedTuple):
    """N regions of one picture, most confident first.

    boxes: (N, 4) float32 xyxy in pixels.
    scores: (N,) float32 in 0..1.
    features: (N, D) float32.
    classes: (N,) int64, index in SHAPES, len(SHAPES) for ground.
    attributes: (N,) int64, index in COLORS, len(COLORS) for grey.
    """

    boxes: np.ndarray
    scores: np.ndarray
    features: np.ndarray
    classes: np.ndarray
    attributes: np.ndarray


@dataclass(frozen=True)
class Detector:
    """One detector, with habits and a feature space of its own.

    Args:
        name: what the feature stores call it; it also decides the projection.
        dimension: D of the features.
        regions: least and largest number of regions of a picture.
        missed: share of things that are not found.
        sloppy: share of things whose main box lies far off (intersection over union about 0.3-0.5).
        noise: standard deviation of what is added to each feature (whose own is about 1).
    """

    name: str
    dimension: int
    regions: tuple[int, int] = (10, 18)
    missed: float = 0.01
    sloppy: float = 0.01
    noise: float = 0.1

    def detect(self, pixels: np.ndarray, things: list[Box], rng: np.random.Generator) -> Regions:
        """Regions of the picture `pixels` (H, W, 3) uint8 that shows the boxes `things`."""
        boxes, scores = self._propose(things, pixels.shape[1], pixels.shape[0], rng)
        order = np.argsort(-scores, kind="stable")[: self.regions[1]]
        boxes, scores = boxes[order], scores[order]
        description = describe(pixels, boxes)
        features = self._features(description)
        features += rng.normal(0, self.noise, features.shape).astype(np.float32)
        found = description.main >= 0
        classes = np.where(found, description.likeness.argmax(axis=1), len(SHAPES))
        attributes = np.where(found, description.main, len(COLORS))
        return Regions(boxes, scores, features, classes, attributes)

    def _propose(
        self, things: list[Box], width: int, height: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (M, 4) and confidences (M,), in no order."""
        found: list[tuple[np.ndarray, float]] = []
        for thing in things:
            chance = rng.uniform(size=3)
            if chance[0] >= self.missed:
                spread = 0.35 if chance[1] < self.sloppy else 0.035
                found.append((jittered(thing, spread, rng), float(rng.uniform(0.75, 0.99))))
            if chance[2] < 0.06:
                found.append((jittered(thing, 0.10, rng), float(rng.uniform(0.3, 0.6))))
            elif chance[2] > 0.94:
                found.append((part_of(thing, rng), float(rng.uniform(0.2, 0.5))))
        wanted = int(rng.integers(self.regions[0], self.regions[1] + 1))
        while len(found) < wanted:
            found.append((on_the_ground(things, width, height, rng), float(rng.uniform(0.05, 0.3))))
        boxes = np.stack([box for box, _ in found])
        return clipped(boxes, width, height), np.array([score for _, score in found], dtype=np.float32)

    def _features(self, description: Description) -> np.ndarray:
        """(N, D) float32: the standardised, weighted description, projected."""
        mean, deviation = calibration()
        return ((description.vector() - mean) / deviation * WEIGHTS) @ self.projection

    @cached_property
    def projection(self) -> np.ndarray:
        """(LENGTH, D) float32, the same in every world; features have a variance of about 1.

        Its rows are orthogonal where D is large enough, so that nothing of the description is lost.
        """
        rng = np.random.default_rng([sum(self.name.encode()), self.dimension])
        matrix = rng.normal(0, 1, (self.dimension, LENGTH))
        if self.dimension >= LENGTH:
            matrix = np.linalg.qr(matrix)[0]
        variance = (WEIGHTS**2 * matrix**2).sum(axis=1).mean()
        return (matrix.T / np.sqrt(variance)).astype(np.float32)


@cache
def calibration() -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each number of the description, (LENGTH,) each, over 60 scenes of no world."""
    vectors = []
    for index in range(60):
        rng = np.random.default_rng([0xCA11B, index])
        scene = random_scene(rng)
        boxes, _ = Detector("calibration", 1)._propose([thing.box for thing in scene.things], WIDTH, HEIGHT, rng)
        vectors.append(describe(draw_scene(scene), boxes).vector())
    everything = np.concatenate(vectors)
    return everything.mean(axis=0), everything.std(axis=0) + 1e-2


def jittered(box: Box, spread: float, rng: np.random.Generator) -> np.ndarray:
    """The box with each side moved by about `spread` of its width or height: (4,) xyxy."""
    width, height = box[2] - box[0], box[3] - box[1]
    return np.array(box) + rng.normal(0, spread, 4) * (width, height, width, height)


def part_of(box: Box, rng: np.random.Generator) -> np.ndarray:
    """A box over about half of the thing, so that its intersection over union is under 0.5: (4,) xyxy."""
    width, height = box[2] - box[0], box[3] - box[1]
    corners = np.array(box)
    side = int(rng.integers(4))
    corners[side] += (0.62 if side < 2 else -0.62) * (width if side % 2 == 0 else height)
    return corners


def on_the_ground(things: list[Box], width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A box anywhere in the picture that shows little or nothing of the things, (4,) xyxy."""
    for _ in range(8):
        wide, high, x, y = rng.uniform(0, 1, 4).tolist()
        wide, high = (0.08 + 0.22 * wide) * width, (0.08 + 0.22 * high) * height
        x, y = x * (width - wide), y * (height - high)
        shown = (
            max(min(x + wide, thing[2]) - max(x, thing[0]), 0) * max(min(y + high, thing[3]) - max(y, thing[1]), 0)
            for thing in things
        )
        if max(shown) < 0.08 * wide * high:
            break
    return np.array((x, y, x + wide, y + high))


def clipped(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Boxes (N, 4) inside the picture, each at least 3 pixels wide and high, float32."""
    low = np.clip(np.minimum(boxes[:, :2], boxes[:, 2:] - 3), 0, (width - 3, height - 3))
    high = np.minimum(np.maximum(boxes[:, 2:], low + 3), (width, height))
    return np.concatenate([low, high], axis=1).astype(np.float32)
