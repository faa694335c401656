"""Widths and heights of images, from annotation files that state them."""

import json
from pathlib import Path

from mmf_visualbert.errors import InputError


def image_sizes(path: str) -> dict[str, tuple[int, int]]:
    """Width and height by key, from COCO-like annotations.

    Raises:
        InputError: for a file of another form.
    """
    try:
        images = json.loads(Path(path).read_text(encoding="utf-8"))["images"]
        return {Path(one["file_name"]).stem: (int(one["width"]), int(one["height"])) for one in images}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} has no images with file_name, width and height ({error}); give COCO's file") from None
