"""Images whose regions cannot be had: refused, or what is about them left out, with how many there are."""

import logging
from collections.abc import Sequence

from mmf_visualbert.contracts import RegionQuery, RegionSource
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.captions.records import CaptionedImage

logger = logging.getLogger(__name__)

MISSING = ("refuse", "leave_out")


def refuse_or_count(wish: str, errors: Sequence[InputError], total: int, what: str) -> None:
    """Refuses where something is wrong with regions, or says how much is left out.

    Args:
        wish: `missing_regions`.
        errors: one for each record without regions, in their order; at least one.
        total: how many records there are.
        what: what they are called.

    Raises:
        InputError: the first of them with their number; also where nothing would be left, and for an unknown wish.
    """
    if wish not in MISSING:
        raise InputError(f"missing_regions is '{wish}'; set it to one of {', '.join(MISSING)}")
    if wish == "refuse" or len(errors) == total:
        others = f" ({len(errors)} of {total} {what} are without regions)" if len(errors) > 1 else ""
        go_on = "" if len(errors) == total else ", or go on without such images: missing_regions: leave_out"
        raise InputError(f"{errors[0]}{go_on}{others}")
    logger.warning("%d of %d %s are left out, as they have no regions: %s", len(errors), total, what, errors[0])


def with_regions(images: list[CaptionedImage], regions: RegionSource, wish: str, split: str) -> list[CaptionedImage]:
    """The images whose regions can be had.

    Raises:
        InputError: as `refuse_or_count`.
    """
    errors: dict[int, InputError] = {}
    for number, image in enumerate(images):
        try:
            regions.check([RegionQuery(image.key, image.name)])
        except InputError as error:
            errors[number] = error
    if not errors:
        return images
    refuse_or_count(wish, list(errors.values()), len(images), f"images of the captions' {split}")
    return [image for number, image in enumerate(images) if number not in errors]
