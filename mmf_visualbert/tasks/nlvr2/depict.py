"""A sentence about two images as a page shows it."""

from mmf_visualbert.contracts import Depicted
from mmf_visualbert.tasks.nlvr2.dataset import NLVR2
from mmf_visualbert.tasks.nlvr2.records import LABELS


def depict(dataset: NLVR2, index: int) -> Depicted:
    """The sentence and both images, the left one first; see `Task.depict`."""
    example = dataset.examples[index]
    return Depicted(
        name=example.identifier,
        images=example.images,
        records=tuple(dataset.regions.record(image) for image in example.images),
        text=example.sentence if dataset.masking is None else None,
        gold=() if example.label is None or dataset.masking is not None else (LABELS[example.label],),
    )
