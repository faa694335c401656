"""What users give as an image, as its regions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord, problem

Photographer = Callable[[Sequence[Any]], list[RegionRecord]]
FIELDS = ("boxes", "width", "height", "class_ids", "scores", "attribute_ids", "attribute_scores")


def records_of(images: Sequence[Any], photographer: Callable[[], Photographer]) -> list[RegionRecord]:
    """The regions of each image.

    Args:
        images: regions, as a `RegionRecord`, an array or tensor of features (regions, dimension), or a mapping with
            `features` and any other field of a record; or photographs, as `Photographer` takes them.
        photographer: gives what finds regions in photographs; called only where there are any.

    Raises:
        InputError: for what is neither.
    """
    known = {number: record_of(image, f"image {number + 1}") for number, image in enumerate(images)}
    photographs = [number for number, record in known.items() if record is None]
    if photographs:
        found = photographer()([images[number] for number in photographs])
        known.update(zip(photographs, found, strict=True))
    return [record for record in known.values() if record is not None]


def record_of(image: Any, where: str) -> RegionRecord | None:
    """The regions that an image is given as; None for a photograph.

    Raises:
        InputError: for regions that are none.
    """
    if isinstance(image, Mapping):
        if "features" not in image:
            raise InputError(f"{where} is a mapping without 'features'; give features (regions, dimension)")
        unknown = sorted(set(image) - {"features", *FIELDS})
        if unknown:
            raise InputError(
                f"{where} has '{unknown[0]}', which regions have not; they have features, {', '.join(FIELDS)}"
            )
        image = RegionRecord(array(image["features"]), *(_field(image.get(name)) for name in FIELDS))
    elif isinstance(image, Tensor) or (isinstance(image, np.ndarray) and image.ndim == 2):
        image = RegionRecord(array(image))
    if not isinstance(image, RegionRecord):
        return None
    wrong = problem(image)
    if wrong:
        raise InputError(f"{where} has {wrong}; correct its regions")
    return image


def array(values: Any) -> np.ndarray:
    """Floating point numbers as numpy has them."""
    values = values.detach().cpu().float().numpy() if isinstance(values, Tensor) else np.asarray(values)
    return values if values.dtype in (np.float16, np.float32) else values.astype(np.float32)


def _field(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value) if isinstance(value, list | tuple) else value
