"""Pictures for pages that open from a disk: found by their keys, made small, written into the page."""

import base64
import io
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


def find_pictures(folders: Iterable[Path], keys: Collection[str]) -> dict[str, Path]:
    """The files of images, by key: the file's name without extension, in any folder below. The first one counts."""
    wanted = set(keys)
    found: dict[str, Path] = {}
    for folder in folders:
        for below, inner, names in os.walk(folder):
            inner.sort()
            for name in sorted(names):
                key, ending = os.path.splitext(name)
                if key in wanted and ending.lower() in ENDINGS:
                    found.setdefault(key, Path(below) / name)
            if len(found) == len(wanted):
                return found
    return found


def data_uri(path: Path, longest: int = 640) -> str | None:
    """An image as a JPEG of at most `longest` pixels, inside a `data:` address; None for a file that is no image."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (longest, longest))
            small = image.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    small.thumbnail((longest, longest))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
