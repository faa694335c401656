"""A caption, or two, as a page shows them."""

from mmf_visualbert.contracts import Depicted
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.captions.dataset import Captions


def depict(dataset: Captions, index: int) -> Depicted:
    """The sample's own text, in which words are masked; see `Task.depict`.

    Raises:
        InputError: for captions without images, or with regions that are no stored ones.
    """
    if not isinstance(dataset.regions, ImageRegions):
        raise InputError("these captions are read without stored regions; name a run that looks at images")
    image = dataset.images[int(dataset.image_of[index])]
    name = f"{image.key}#{int(dataset.caption_of[index]) + 1}"
    return Depicted(name, (image.key,), (dataset.regions.record(image.key),))
