"""Pictures of scenes: anti-aliased shapes over a ground with clutter and noise, as RGB arrays and PNG files."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mmf_visualbert.sampleworld.scene import Scene

SCALE = 2
"""Shapes are painted so many times larger and then averaged, which smooths their edges."""


def draw_scene(scene: Scene) -> np.ndarray:
    """The scene as (height, width, 3) uint8 RGB."""
    rng = np.random.default_rng(scene.ground)
    canvas = draw_ground(scene.width, scene.height, rng)
    pen = ImageDraw.Draw(canvas)
    for thing in scene.things:
        edge = tuple(int(channel * 0.7) for channel in thing.shade)
        pen.polygon([tuple(point) for point in (thing.outline * SCALE).tolist()], fill=thing.shade, outline=edge)
    return finish(canvas, rng)


def draw_ground(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """A greyish ground with blotches and scribbles, `SCALE` times larger than the picture will be."""
    base = int(rng.integers(150, 215))
    tint = rng.integers(-9, 10, 3)
    canvas = Image.new("RGB", (width * SCALE, height * SCALE), tuple((base + tint).tolist()))
    pen = ImageDraw.Draw(canvas)
    spots = rng.uniform(0, 1, (14, 4))
    for index, (x, y, wide, high) in enumerate(spots.tolist()):
        grey = tuple((base + tint + int(rng.integers(-26, 27))).tolist())
        left, top = x * width * SCALE, y * height * SCALE
        if index < 9:
            pen.ellipse((left, top, left + 10 + wide * 90, top + 10 + high * 60), fill=grey)
        else:
            pen.line((left, top, left + (wide - 0.5) * 120, top + (high - 0.5) * 120), fill=grey, width=3)
    return canvas


def finish(canvas: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """The canvas at its true size, with coarse noise and its own brightness: (H, W, 3) uint8."""
    pixels = np.asarray(canvas.reduce(SCALE), dtype=np.int16)
    height, width = pixels.shape[:2]
    noise = rng.integers(-6, 7, (-(-height // 3), -(-width // 3), 1), dtype=np.int16)
    noise = noise.repeat(3, axis=0).repeat(3, axis=1)[:height, :width]
    brightness = float(rng.uniform(0.88, 1.08))
    return np.clip((pixels + noise) * brightness, 0, 255).astype(np.uint8)


def save_png(pixels: np.ndarray, path: Path) -> None:
    """Writes (H, W, 3) uint8 RGB."""
    Image.fromarray(pixels).save(path, compress_level=1)
