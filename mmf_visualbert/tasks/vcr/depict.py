"""A question about a movie frame as a page shows it."""

from pathlib import Path

import numpy as np

from mmf_visualbert.contracts import Depicted, GoldBoxes
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.tasks.vcr.dataset import VCR
from mmf_visualbert.tasks.vcr.objects import mentioned_objects
from mmf_visualbert.tasks.vcr.records import CHOICES, Tokens
from mmf_visualbert.tasks.vcr.regions import FrameRegions


def depict(dataset: VCR, index: int) -> Depicted:
    """The frame with its objects, and the four choices of an answer or a rationale; see `Task.depict`.

    Raises:
        InputError: for vectors that were made before, which have no boxes, or samples of other choices than four.
    """
    if not isinstance(dataset.regions, FrameRegions):
        raise InputError("these regions were made before, without their boxes; name a run that reads the frames")
    if dataset.masking is not None:
        raise InputError("a sample of VCR's pre-training holds several texts; name a run of answers or of rationales")
    if dataset.choices_per_sample != CHOICES:
        raise InputError(f"a sample has {dataset.choices_per_sample} choices here; set answer_label to one answer")
    record = dataset.annotations[index]
    objects = dataset.regions.objects(record.query())
    chosen = mentioned_objects(record)
    boxes = np.concatenate([[[0, 0, objects.width, objects.height]], objects.boxes[chosen]]).astype(np.float32)
    (group,) = dataset.groups(record)
    candidates = tuple(written(choice) for choice in group.choices)
    return Depicted(
        name=record.annot_id,
        images=(Path(record.frame).stem,),
        records=(RegionRecord(np.zeros((len(boxes), 1), np.float32), boxes, objects.width, objects.height),),
        kind=dataset.mode,
        gold=() if group.label is None else (candidates[group.label],),
        boxes=tuple(
            GoldBoxes(f"[{number}] {record.objects[number]}", 0, (tuple(map(float, objects.boxes[number])),))
            for number in chosen
        ),
        candidates=candidates,
        asked=written(group.context),
    )


def written(tokens: Tokens) -> str:
    """Words and tags as one text: `[0] is happy .`"""
    return " ".join(token if isinstance(token, str) else str(token) for token in tokens)
