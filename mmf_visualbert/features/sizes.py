"""Widths and heights of images, from annotation files that state them."""

from pathlib import PurePosixPath

from msgspec import Raw, Struct

from mmf_visualbert.files.typed import Name, Pixels, Schema, records_of


class Annotations(Struct, gc=False):
    """COCO-like annotations."""

    images: list[Raw]


class SizedImage(Struct, gc=False):
    """A record of `images`."""

    file_name: Name
    width: Pixels
    height: Pixels


ANNOTATIONS = Schema(Annotations, "give COCO's file, which has images with file_name, width and height")
SIZED_IMAGE = Schema(SizedImage, "give COCO's file, which has images with file_name, width and height")


def image_sizes(path: str) -> dict[str, tuple[int, int]]:
    """Width and height by key, from COCO-like annotations.

    Raises:
        InputError: for a file of another form.
    """
    images = ANNOTATIONS.read(path).images
    return {
        PurePosixPath(one.file_name).stem: (one.width, one.height)
        for one in records_of(path, "images", images, SIZED_IMAGE)
    }
