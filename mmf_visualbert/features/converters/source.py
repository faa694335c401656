"""What a reader of other people's features is given, and what it gives: one image at a time, read when it is asked for.

A file that does not say what it is, is taken for what its format documents; a reader notes what it took it for, and
refuses what could as well be something else, naming the option that decides.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord

LAYOUTS = ("regions", "channels-first", "channels-last")
NUMBERS = ("float16", "float32", "float64")
BOXES = ("pixels", "fractions")


@dataclass(frozen=True)
class Reading:
    """What the user says of a source; None is not said.

    Attributes:
        layout: of arrays: `regions` (N, D), or a grid with its channels first (D, h, w) or last (h, w, D).
        dtype: of features in base64, which does not say it: one of `NUMBERS`.
        boxes: `pixels` of the image, or `fractions` of its width and height.
    """

    layout: str | None = None
    dtype: str | None = None
    boxes: str | None = None


class Found(NamedTuple):
    """What a reader has read of one image.

    Attributes:
        record: its features as they are, in any layout; boxes as they are.
        notes: what was taken for what, in a few words each.
        fractions: whether boxes are fractions, as the format documents it.
    """

    record: RegionRecord
    notes: tuple[str, ...] = ()
    fractions: bool = False


class Image(NamedTuple):
    """One image of a source.

    Attributes:
        identity: its id, as the source has it.
        where: names it in messages.
        read: reads it; raises InputError for what is wrong with this image alone.
    """

    identity: str
    where: str
    read: Callable[[], Found]


Images = Iterator[Image]
Reader = Callable[[str, Reading], Images]


class KeyPattern:
    """Keys of images from the ids of a source.

    Args:
        pattern: as Python's format takes it, with the field `id`: `COCO_val2014_{id:012d}`. A pattern that formats a
            number takes the number at the end of the id. Without a pattern the id is the key.
    """

    def __init__(self, pattern: str = "{id}") -> None:
        self.pattern = pattern
        try:
            fits = pattern.format(id=7) != pattern.format(id=8)
        except (KeyError, ValueError, IndexError, AttributeError, TypeError):
            fits = False
        if not fits:
            raise InputError(f"the key pattern '{pattern}' has to be like COCO_val2014_{{id:012d}}")

    def __call__(self, identity: str) -> str:
        """The key; raises InputError where the pattern wants a number that the id has not."""
        try:
            return self.pattern.format(id=identity)
        except ValueError:
            number = re.search(r"[0-9]{1,18}$", identity)
            if not number:
                raise InputError(
                    f"the image id '{identity}' ends in no number for the pattern {self.pattern}; give another --keys"
                ) from None
            return self.pattern.format(id=int(number[0]))
