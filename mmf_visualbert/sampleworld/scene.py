"""Scenes: coloured shapes on a cluttered ground, in the typed form that drawing and all annotations start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import cos, pi, sin

import numpy as np

from mmf_visualbert.sampleworld.words import COLORS, OPPOSITES, SHAPES, SIZES

WIDTH, HEIGHT = 160, 120
RADII = {"small": (8.0, 10.0), "large": (15.0, 18.0)}
MARGIN = 14.0
"""Pixels by which two centres must differ before anything is said about left, right, above or below."""
OVERLAP = 0.25
"""Largest share of a thing's box that one later thing may cover."""

Words = tuple[str | None, str | None, str | None]


@dataclass(frozen=True)
class Thing:
    """One shape. `x`, `y`, `radius` in pixels, `angle` in radians, `shade` its RGB after jitter."""

    shape: str
    color: str
    size: str
    x: float
    y: float
    radius: float
    angle: float
    shade: tuple[int, int, int]

    @cached_property
    def outline(self) -> np.ndarray:
        """Corners of the polygon, (P, 2) float64 in pixels."""
        turn = np.array([[cos(self.angle), sin(self.angle)], [-sin(self.angle), cos(self.angle)]])
        return UNIT_OUTLINES[self.shape] @ turn * self.radius + (self.x, self.y)

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Tight box of the whole shape, xyxy in pixels."""
        low, high = self.outline.min(axis=0), self.outline.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def is_to(self, relation: str, other: "Thing") -> bool | None:
        """Whether this thing is `left of`, `right of`, `above` or `below` the other; None where they are too close."""
        difference = other.x - self.x if relation.endswith(" of") else other.y - self.y
        if abs(difference) < MARGIN:
            return None
        return (difference > 0) == (relation in ("left of", "above"))


@dataclass(frozen=True)
class Scene:
    """Things in the order of painting (later ones cover earlier ones) on a ground drawn from `ground` (a seed)."""

    width: int
    height: int
    things: tuple[Thing, ...]
    ground: int

    @cached_property
    def by_words(self) -> dict[Words, tuple[Thing, ...]]:
        """(color, shape, size), each possibly None -> the things that have them; only what is there is listed."""
        found: dict[Words, list[Thing]] = {}
        for thing in self.things:
            for words in product((None, thing.color), (None, thing.shape), (None, thing.size)):
                found.setdefault(words, []).append(thing)
        return {words: tuple(things) for words, things in found.items()}

    def those(self, color: str | None = None, shape: str | None = None, size: str | None = None) -> tuple[Thing, ...]:
        """All things with these attributes, in the order of painting."""
        return self.by_words.get((color, shape, size), ())

    def only(self, color: str | None = None, shape: str | None = None, size: str | None = None) -> Thing | None:
        """The single thing with these attributes; None where there is none or more than one."""
        found = self.those(color, shape, size)
        return found[0] if len(found) == 1 else None

    def relations(self, first: Thing, second: Thing) -> list[str]:
        """The relations of the first thing to the second that are plain to see."""
        return [relation for relation in OPPOSITES if first.is_to(relation, second)]


def _spikes(points: int, inner: float) -> np.ndarray:
    """A star outline of radius 1, first point up."""
    angles = -pi / 2 + np.arange(2 * points) * pi / points
    radii = np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)


def _ring(points: int, start: float) -> np.ndarray:
    angles = start + np.arange(points) * 2 * pi / points
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _cross(arm: float) -> np.ndarray:
    corner = [(arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm), (arm, 1)]
    return np.array(corner + [(-x, -y) for x, y in corner], dtype=np.float64)


UNIT_OUTLINES: dict[str, np.ndarray] = {
    "circle": _ring(24, 0.0),
    "square": _ring(4, pi / 4) * 1.2,
    "triangle": _ring(3, -pi / 2) * 1.15,
    "star": _spikes(5, 0.42) * 1.1,
    "cross": _cross(0.34) * 0.95,
}
"""Outline of each shape at radius 1 around (0, 0); y points down."""


def covered(first: Thing, second: Thing) -> float:
    """Overlap of the two boxes as a share of the smaller one."""
    a, b = first.box, second.box
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def shade_of(color: str, rng: np.random.Generator, spread: int = 16) -> tuple[int, int, int]:
    """The colour's RGB with a little jitter of its own."""
    red, green, blue = np.clip(np.array(COLORS[color]) + rng.integers(-spread, spread + 1, 3), 0, 255).tolist()
    return red, green, blue


def _random_thing(rng: np.random.Generator, colors: Sequence[str], shapes: Sequence[str]) -> Thing:
    size = SIZES[int(rng.integers(2))]
    radius = float(rng.uniform(*RADII[size]))
    reach = radius * 1.25
    return Thing(
        shape=shapes[int(rng.integers(len(shapes)))],
        color=(color := colors[int(rng.integers(len(colors)))]),
        size=size,
        x=round(float(rng.uniform(reach, WIDTH - reach)), 2),
        y=round(float(rng.uniform(reach, HEIGHT - reach)), 2),
        radius=round(radius, 2),
        angle=round(float(rng.uniform(-0.16, 0.16)), 3),
        shade=shade_of(color, rng),
    )


def random_scene(
    rng: np.random.Generator,
    things: tuple[int, int] = (3, 8),
    colors: Sequence[str] = tuple(COLORS),
    shapes: Sequence[str] = SHAPES,
) -> Scene:
    """A scene of `things[0]`..`things[1]` shapes that cover each other a little at most.

    Few `colors` and `shapes` make the things of a scene alike, so that a phrase needs all of its words.
    """
    wanted = int(rng.integers(things[0], things[1] + 1))
    placed: list[Thing] = []
    for _ in range(40 * wanted):
        thing = _random_thing(rng, colors, shapes)
        if all(covered(thing, other) <= OVERLAP for other in placed):
            placed.append(thing)
        if len(placed) == wanted:
            break
    return Scene(WIDTH, HEIGHT, tuple(placed), ground=int(rng.integers(1 << 31)))


def some_words(rng: np.random.Generator, colors: int, shapes: int) -> tuple[list[str], list[str]]:
    """So many different colours and shapes, drawn at random: the palette of a scene or of a set of scenes."""
    picked_colors = rng.permutation(list(COLORS))[:colors].tolist()
    return picked_colors, rng.permutation(SHAPES)[:shapes].tolist()
