"""A table of texts with marked phrases and their boxes: which region of the image does a phrase refer to (§4.4)?

Phrases stand in brackets, `[a man] in [a red shirt]`; a text without brackets is one phrase, as in RefCOCO.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.contracts import DatasetFacts, Sample
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.boxes import overlaps_any_of_each
from mmf_visualbert.tasks.flickr30k.annotations import Phrase
from mmf_visualbert.tasks.flickr30k.answer import bracketed
from mmf_visualbert.tasks.flickr30k.dataset import assemble_caption
from mmf_visualbert.tasks.table.records import Table, TableExample
from mmf_visualbert.tasks.table.rows import Rows, TableImages

BOX_FORMS = ("corners", "sizes")


class Marked(NamedTuple):
    """A text without its brackets, and its phrases."""

    words: tuple[str, ...]
    phrases: tuple[Phrase, ...]


def marked(example: TableExample) -> Marked:
    """The words and phrases of a row.

    Raises:
        InputError: for a bracket without a partner.
    """
    text = example.texts[0]
    if "[" not in text and "]" not in text:
        words = tuple(text.split())
        return Marked(words, (Phrase(0, (), 0, len(words) - 1),))
    try:
        return Marked(*bracketed(text))
    except InputError as error:
        raise InputError(f"{example.where}: {error}") from None


def check_phrases(table: Table, box_form: str, max_phrases: int, grounded: bool = True) -> None:
    """Checks that rows have images, room for their phrases, and boxes that belong to them.

    Args:
        table: of the kind.
        box_form, max_phrases: see `PhrasesDataset`.
        grounded: whether an image is needed, as it is not for masked language modeling.

    Raises:
        InputError: naming the first row that is not so.
    """
    for example in table:
        phrases = marked(example).phrases
        if grounded and not example.images:
            raise InputError(f"{example.where} has no image, and phrases are grounded in one; name it, or drop the row")
        if len(phrases) > max_phrases:
            raise InputError(f"{example.where} has {len(phrases)} phrases and max_phrases is {max_phrases}; raise it")
        if example.label is None:
            continue
        if len(phrases) > 1 and len(example.label) != len(phrases):
            raise InputError(
                f"{example.where} marks {len(phrases)} phrases and has boxes for {len(example.label)}; give each "
                "phrase its boxes, from left to right"
            )
        for boxes in boxes_of(example, box_form):
            if not bool((boxes[:, :2] < boxes[:, 2:]).all()):
                raise InputError(
                    f"{example.where}: the box {boxes.tolist()[0]} is inside out; write x1, y1, x2, y2, or set "
                    "box_form to sizes for x, y, width, height"
                )


def boxes_of(example: TableExample, box_form: str) -> list[Tensor]:
    """For each phrase its boxes (G, 4), corners in pixels. Of an only phrase all boxes are its own."""
    given = example.label
    if len(marked(example).phrases) == 1:
        given = [[box for boxes in given for box in boxes]]
    found = [torch.tensor(boxes, dtype=torch.float32) for boxes in given]
    if box_form == "sizes":
        found = [torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1) for boxes in found]
    return found


class PhrasesDataset:
    """One sample for each text.

    Args:
        rows: the texts; a row's label is the list of each phrase's boxes.
        box_form: `corners` (x1, y1, x2, y2) or `sizes` (x, y, width, height, as COCO's), in pixels of the image.
        max_phrases: E, room for the phrases of a text.
        threshold: the IoU with a phrase's box from which on a region is a match.

    Raises:
        InputError: for a row without an image, with more phrases than E, or whose boxes do not belong to its phrases.
    """

    def __init__(self, rows: Rows, box_form: str = "corners", max_phrases: int = 32, threshold: float = 0.5) -> None:
        if box_form not in BOX_FORMS:
            raise InputError(f"box_form is '{box_form}'; set it to one of {', '.join(BOX_FORMS)}")
        if rows.images is None and rows.masking is None:
            raise InputError("the kind 'phrases' grounds in the regions of images; name columns.image")
        self.rows, self.box_form, self.max_phrases, self.threshold = rows, box_form, max_phrases, threshold
        check_phrases(rows.table, box_form, max_phrases, grounded=rows.masking is None)
        rows.check()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def facts(self) -> DatasetFacts:
        """Its size and its word pieces."""
        return self.rows.facts()

    @property
    def _images(self) -> TableImages:
        assert self.rows.images is not None
        return self.rows.images

    def __getitem__(self, index: int) -> Sample:
        """`id` (), the text's and the regions' tensors, `phrase_positions` (E,); with boxes `phrase_targets` (E, R),
        `phrase_mask`, `phrase_types` (E,), and `targets`, the same as `phrase_targets`."""
        example = self.rows[index]
        words, phrases = marked(example)
        assembled, positions = assemble_caption(self.rows.text, words, phrases)
        sample = self.rows.beginning(index, example)
        if self.rows.masking is not None:
            return sample | self.rows.hidden(index, assembled)
        padding = self.max_phrases - len(phrases)
        sample |= {**assembled.tensors(), "phrase_positions": torch.tensor(positions + [-1] * padding)}
        if example.label is None:
            return sample
        boxes = self._region_boxes(example)
        targets = torch.zeros(self.max_phrases, len(sample["region_mask"]), dtype=torch.bool)
        targets[: len(phrases), : len(boxes)] = overlaps_any_of_each(
            boxes, boxes_of(example, self.box_form), self.threshold
        )
        return sample | {
            "phrase_targets": targets,
            "phrase_mask": torch.arange(self.max_phrases) < len(phrases),
            "phrase_types": torch.zeros(self.max_phrases, dtype=torch.int64),
            "targets": targets,
        }

    def _region_boxes(self, example: TableExample) -> Tensor:
        """The boxes (N, 4) of the regions that the sample has, in pixels."""
        boxes = self._images.regions.record(example.images[0]).boxes
        if boxes is None:
            raise InputError(
                f"{example.where}: the regions of '{example.images[0]}' have no boxes in the feature store; phrases "
                "are grounded in boxes, so extract features with boxes"
            )
        return torch.from_numpy(np.array(boxes[: self._images.regions.processor.max_regions], dtype=np.float32))

    def predictions(self, output: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """One entry a row: `id`, and `phrases`, for each its text, the best region, its box in pixels and probability;
        None where the phrase was cut off with the text.

        Args:
            output: `id` (B,) and `scores` (B, E · R) log-probabilities.
        """
        scores = output["scores"].detach().view(len(output["id"]), self.max_phrases, -1).float().cpu()
        return [self._entry(index, rows) for index, rows in zip(output["id"].tolist(), scores, strict=True)]

    def _entry(self, index: int, scores: Tensor) -> dict[str, Any]:
        example = self.rows[index]
        words, phrases = marked(example)
        boxes, said = self._region_boxes(example), []
        for phrase, row in zip(phrases, scores, strict=False):
            region = None if row.isinf().all() else int(row.argmax())
            said.append(
                {
                    "phrase": phrase.text(words),
                    "region": region,
                    "box": None if region is None else boxes[region].tolist(),
                    "probability": None if region is None else float(row[region].exp()),
                }
            )
        return {"id": self.rows.id_of(index), "phrases": said}
