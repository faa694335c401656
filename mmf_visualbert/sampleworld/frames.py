"""Movie frames for VCR: people in coloured shirts and trousers on different grounds, some holding something.

The people stand in columns; every frame has the four things `ITEMS` once each, in a hand or lying on the ground.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import ImageDraw

from mmf_visualbert.sampleworld.draw import SCALE, draw_ground, finish
from mmf_visualbert.sampleworld.scene import shade_of

WIDTH, HEIGHT = 192, 96
SHIRTS: tuple[str, ...] = ("red", "yellow", "green", "blue")
TROUSERS: dict[str, tuple[int, int, int]] = {
    "black": (25, 25, 30),
    "white": (245, 245, 245),
    "pink": (245, 150, 200),
    "purple": (130, 50, 160),
}
"""Colour name -> RGB. None of them is a shirt's."""
GROUNDS: dict[str, tuple[int, int, int]] = {
    "grass": (120, 190, 90),
    "sand": (226, 205, 140),
    "road": (92, 92, 98),
    "water": (120, 185, 235),
}
ITEMS: dict[str, tuple[int, int, int]] = {
    "sportsball": (240, 140, 20),
    "cup": (250, 250, 250),
    "book": (115, 70, 35),
    "umbrella": (245, 110, 190),
}
"""Name in VCR's list of 80 objects -> RGB."""
REACH = 8.0
"""Half the width of an item, pixels."""
Polygon = list[tuple[float, float]]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Item:
    """A thing at (x, y), its centre in pixels."""

    name: str
    x: float
    y: float

    @property
    def segments(self) -> list[Polygon]:
        """Its outline, as polygons in pixels."""
        return [
            [(self.x + REACH * dx, self.y + REACH * dy) for dx, dy in outline] for outline in _ITEM_FORMS[self.name]
        ]

    @property
    def box(self) -> Box:
        """Around the thing, xyxy in pixels."""
        return box_of(self.segments)


@dataclass(frozen=True)
class Person:
    """Somebody with feet at (x, y), `tall` pixels high, and a `side` (-1 left, 1 right) that holds things out."""

    x: float
    y: float
    tall: float
    side: int
    shirt: str
    shade: tuple[int, int, int]
    trousers: str
    ground: str
    holds: Item | None

    @cached_property
    def head(self) -> Polygon:
        """Outline of the head."""
        angles = np.arange(12) * np.pi / 6
        radius = 0.11 * self.tall
        top = self.y - self.tall + radius
        return [(self.x + radius * float(np.cos(a)), top + radius * float(np.sin(a))) for a in angles]

    @cached_property
    def torso(self) -> Polygon:
        """Outline of the shirt."""
        shoulder, waist = 0.15 * self.tall, 0.12 * self.tall
        top, bottom = self.y - 0.78 * self.tall, self.y - 0.38 * self.tall
        return [
            (self.x - shoulder, top),
            (self.x + shoulder, top),
            (self.x + waist, bottom),
            (self.x - waist, bottom),
        ]

    @cached_property
    def legs(self) -> list[Polygon]:
        """Outlines of the two legs."""
        top, wide = self.y - 0.40 * self.tall, 0.07 * self.tall
        return [
            [(x - wide, top), (x + wide, top), (x + wide, self.y), (x - wide, self.y)]
            for x in (self.x - 0.07 * self.tall, self.x + 0.07 * self.tall)
        ]

    @cached_property
    def hand(self) -> tuple[float, float]:
        """Centre of the hand that holds things out."""
        return self.x + self.side * 0.26 * self.tall, self.y - 0.5 * self.tall

    @cached_property
    def arm(self) -> Polygon:
        """Outline of the arm, from the shoulder to the hand."""
        x, y = self.x + self.side * 0.13 * self.tall, self.y - 0.75 * self.tall
        wide = 0.045 * self.tall
        hand_x, hand_y = self.hand
        return [(x, y), (hand_x, hand_y - wide), (hand_x, hand_y + wide), (x, y + 3 * wide)]

    @property
    def segments(self) -> list[Polygon]:
        """The person's outline, as polygons in pixels."""
        return [self.head, self.torso, self.arm, *self.legs]

    @property
    def box(self) -> Box:
        """Around the person and what is held, xyxy in pixels."""
        return box_of(self.segments + (self.holds.segments if self.holds else []))


@dataclass(frozen=True)
class Frame:
    """People from left to right, the things that lie about, and the seed of the wall behind them."""

    people: tuple[Person, ...]
    lying: tuple[Item, ...]
    grounds: tuple[str, ...]
    wall: int

    @property
    def items(self) -> list[Item]:
        """All things, held or lying, in the order of ITEMS."""
        every = [*self.lying, *(person.holds for person in self.people if person.holds)]
        return sorted(every, key=lambda item: list(ITEMS).index(item.name))


_BALL = [(float(np.cos(a)), float(np.sin(a))) for a in np.arange(14) * np.pi / 7]
_DOME = [(1.25 * float(np.cos(a)), -0.1 + 0.9 * float(np.sin(a))) for a in np.pi + np.arange(9) * np.pi / 8]
_ITEM_FORMS: dict[str, list[Polygon]] = {
    "sportsball": [_BALL],
    "cup": [[(-0.8, -0.9), (0.8, -0.9), (0.55, 0.9), (-0.55, 0.9)]],
    "book": [[(-0.9, -0.8), (0.9, -0.8), (0.9, 0.8), (-0.9, 0.8)]],
    "umbrella": [_DOME, [(-0.12, -0.1), (0.12, -0.1), (0.12, 1.0), (-0.12, 1.0)]],
}


def random_frame(rng: np.random.Generator) -> Frame:
    """Two to four people in four columns; most of them hold something."""
    columns = 4
    wide = WIDTH / columns
    names = rng.permutation(list(ITEMS)).tolist()
    grounds = tuple(str(rng.choice(list(GROUNDS))) for _ in range(columns))
    taken = sorted(rng.permutation(columns)[: int(rng.choice([2, 3, 4], p=[0.1, 0.3, 0.6]))].tolist())
    people, lying = [], []
    for column in range(columns):
        middle = (column + 0.5) * wide
        if column not in taken:
            lying.append(_on_ground(names.pop(), middle, rng))
            continue
        holding = rng.uniform() < 0.85
        people.append(_random_person(rng, middle, grounds[column], names.pop() if holding else None))
        if not holding:
            lying.append(_on_ground(names.pop(), middle + people[-1].side * -14, rng))
    return Frame(tuple(people), tuple(lying), grounds, wall=int(rng.integers(1 << 31)))


def _on_ground(name: str, x: float, rng: np.random.Generator) -> Item:
    return Item(name, round(x + float(rng.uniform(-3, 3)), 1), round(HEIGHT - 12 + float(rng.uniform(-3, 2)), 1))


def _random_person(rng: np.random.Generator, middle: float, ground: str, item: str | None) -> Person:
    side = int(rng.choice([-1, 1]))
    shirt = str(rng.choice(SHIRTS))
    person = Person(
        x=round(middle - side * 5 + float(rng.uniform(-2, 2)), 1),
        y=round(HEIGHT - 8 + float(rng.uniform(-4, 4)), 1),
        tall=round(float(rng.uniform(60, 74)), 1),
        side=side,
        shirt=shirt,
        shade=shade_of(shirt, rng),
        trousers=str(rng.choice(list(TROUSERS))),
        ground=ground,
        holds=None,
    )
    return person if item is None else replace(person, holds=Item(item, *(round(value, 1) for value in person.hand)))


def box_of(segments: list[Polygon]) -> Box:
    """The box around all polygons, inside the frame, xyxy in pixels."""
    points = np.array([point for polygon in segments for point in polygon])
    low = np.maximum(points.min(axis=0), 0.0)
    high = np.minimum(points.max(axis=0), (WIDTH, HEIGHT))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def draw_frame(frame: Frame) -> np.ndarray:
    """The frame as (HEIGHT, WIDTH, 3) uint8 RGB."""
    rng = np.random.default_rng(frame.wall)
    canvas = draw_ground(WIDTH, HEIGHT, rng)
    pen = ImageDraw.Draw(canvas)
    wide = WIDTH / len(frame.grounds)
    for column, ground in enumerate(frame.grounds):
        corners = (column * wide * SCALE, (HEIGHT - 30) * SCALE, (column + 1) * wide * SCALE, HEIGHT * SCALE)
        pen.rectangle(corners, fill=GROUNDS[ground])
    for person in frame.people:
        _draw_person(pen, person, rng)
    for item in frame.items:
        for polygon in item.segments:
            _fill(pen, polygon, ITEMS[item.name])
    return finish(canvas, rng)


def _draw_person(pen: ImageDraw.ImageDraw, person: Person, rng: np.random.Generator) -> None:
    skin = tuple((np.array((222, 180, 150)) - int(rng.integers(0, 110))).clip(30).tolist())
    for leg in person.legs:
        _fill(pen, leg, TROUSERS[person.trousers])
    _fill(pen, person.torso, person.shade)
    _fill(pen, person.arm, person.shade)
    _fill(pen, person.head, skin)


def _fill(pen: ImageDraw.ImageDraw, polygon: Polygon, color: tuple[int, ...]) -> None:
    edge = tuple(int(channel * 0.7) for channel in color)
    pen.polygon([(x * SCALE, y * SCALE) for x, y in polygon], fill=color, outline=edge)
