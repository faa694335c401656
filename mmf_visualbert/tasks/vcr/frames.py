"""Movie frames as the RoI backbone sees them: scaled into a fixed canvas, padded, normalised (R2C's box_utils.py)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmf_visualbert.errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Placement(NamedTuple):
    """Where a frame lies in the canvas.

    Attributes:
        scale: canvas pixels per frame pixel.
        left, top: offset of the frame in the canvas, in pixels.
        width, height: size of the scaled frame, in pixels.
    """

    scale: float
    left: int
    top: int
    width: int
    height: int

    @property
    def window(self) -> tuple[float, float, float, float]:
        """The frame in the canvas: x1, y1, x2, y2 in pixels."""
        return (self.left, self.top, self.left + self.width, self.top + self.height)

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """(N, 4) xyxy boxes from pixels of the frame to pixels of the canvas."""
        return boxes * self.scale + np.array([self.left, self.top, self.left, self.top])


def place(size: tuple[int, int], canvas: Sequence[int], random_offset: bool) -> Placement:
    """Scales a frame of (width, height) by min(W/w, H/h) to fit the canvas (W, H).

    The frame is centred, or anywhere in the canvas by torch's global generator where `random_offset`.
    """
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    width, height = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
    free_x, free_y = canvas[0] - width, canvas[1] - height
    if random_offset:
        left, top = (int(torch.randint(free + 1, ())) for free in (free_x, free_y))
    else:
        left, top = free_x // 2, free_y // 2
    return Placement(scale, left, top, width, height)


def load_frame(path: Path, where: str, size: tuple[int, int] | None = None, greyscale: bool = False) -> Image.Image:
    """A decoded RGB image.

    Args:
        path: image file.
        where: the record that names it, for messages.
        size: (width, height) that the image has to have; None where nothing says so.
        greyscale: whether a greyscale image is welcome and repeated on three channels (COCO has some, VCR none).

    Raises:
        InputError: for a missing, unreadable, truncated or not RGB file, or another size than its metadata's.
    """
    if not path.is_file():
        raise InputError(f"{where}: the frame {path} is missing; unpack the images so that this file exists")
    try:
        with Image.open(path) as image:
            _require_size(image.size, size, path, where)  # before its pixels take room
            image.load()
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: the frame {path} cannot be decoded ({error}); download it again") from error
    if image.mode == "L" and greyscale:
        return image.convert("RGB")
    if image.mode != "RGB":
        raise InputError(f"{where}: the frame {path} is {image.mode}, not RGB; convert it")
    return image


def _require_size(found: tuple[int, int], stated: tuple[int, int] | None, path: Path, where: str) -> None:
    if stated is not None and found != tuple(stated):
        raise InputError(
            f"{where}: the frame {path} measures {found[0]}x{found[1]} pixels, but its metadata says "
            f"{stated[0]}x{stated[1]}; use the official frame"
        )


def frame_tensor(image: Image.Image, placement: Placement, canvas: Sequence[int]) -> Tensor:
    """The frame in its canvas: (3, H, W) float32, normalised by ImageNet's mean and standard deviation.

    The canvas is black before it is normalised, so that padding reads as -mean/std, as in the released code.
    """
    if image.size != (placement.width, placement.height):
        image = image.resize((placement.width, placement.height), Image.Resampling.BILINEAR)
    pixels = np.zeros((canvas[1], canvas[0], 3), dtype=np.uint8)
    left, top, right, bottom = placement.window
    pixels[top:bottom, left:right] = np.asarray(image)
    values = torch.from_numpy(pixels).permute(2, 0, 1).to(torch.float32).div_(255)
    mean, std = (torch.tensor(constants).view(3, 1, 1) for constants in (IMAGENET_MEAN, IMAGENET_STD))
    return values.sub_(mean).div_(std)
