"""Widths and heights of images, from annotation files that state them."""

from pathlib import Path

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json


def image_sizes(path: str) -> dict[str, tuple[int, int]]:
    """Width and height by key, from COCO-like annotations.

    Raises:
        InputError: for a file of another form.
    """
    try:
        images = read_json(path)["images"]
        return {Path(one["file_name"]).stem: (int(one["width"]), int(one["height"])) for one in images}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"{path} has no images with file_name, width and height ({error}); give COCO's file") from None
