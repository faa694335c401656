"""What the samples of every kind of table are made of: its rows, how their texts are read, their images, masks."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mmf_visualbert.contracts import DatasetFacts, RegionQuery, Sample
from mmf_visualbert.datasets.draws import repeatable_draws
from mmf_visualbert.datasets.lengths import text_lengths
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.text import Assembled, TextAssembler
from mmf_visualbert.tasks.table.records import Table, TableExample

logger = logging.getLogger(__name__)


class TableImages:
    """The regions of the images of rows.

    Args:
        regions: where they come from.
        images: how many images a row may have, 1 or 2; each has R places.
    """

    def __init__(self, regions: ImageRegions, images: int = 1) -> None:
        self.regions, self.images = regions, images

    def check(self, table: Table) -> None:
        """Refuses images without features, or counts them.

        Raises:
            InputError: naming the first row whose image has none, unless such rows are read as texts.
        """
        self.regions.check(RegionQuery(key, table.where(row)) for key, row in table.first_of_image())
        without = self.regions.without
        if without:
            absent = np.array([key in without for key in table.keys])
            rows = int((absent[table.images] & (table.images >= 0)).any(axis=0).sum())
            logger.warning(
                "%d rows are read as texts alone, as %d images have no features, '%s' among them",
                rows,
                len(without),
                min(without),
            )

    def count(self, example: TableExample) -> int:
        """The regions of a row's images."""
        return sum(self.regions.count(RegionQuery(key, example.where)) for key in example.images)

    def tensors(self, example: TableExample) -> Sample:
        """`region_features` (images · R, D), `region_mask`, `region_segments` (images · R,)."""
        queries = [RegionQuery(key, example.where) for key in example.images]
        found = self.regions.sequence(queries) if queries else self.regions.nothing()
        places = self.images * self.regions.processor.max_regions - len(found["region_mask"])
        return {name: _padded(tensor, places) for name, tensor in found.items()} if places else found


def _padded(tensor: Tensor, places: int) -> Tensor:
    return functional.pad(tensor, (0, 0) * (tensor.dim() - 1) + (0, places))


@dataclass(frozen=True)
class Rows:
    """The rows of a split as samples begin.

    Attributes:
        table: the examples.
        text: assembles word pieces.
        images: the regions of the images; None for a table without images.
        masking: hides word pieces: masked language modeling on these texts and images (§3.3); None for other tasks.
        repeatable: draw the same at every visit of a sample (for validation).
        chosen: which examples, in order; None for all.
    """

    table: Table
    text: TextAssembler
    images: TableImages | None = None
    masking: MaskedLanguageModeling | None = None
    repeatable: bool = False
    chosen: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.table) if self.chosen is None else len(self.chosen)

    def __getitem__(self, index: int) -> TableExample:
        return self.table[self.place(index)]

    def place(self, index: int) -> int:
        """Which row of the table sample `index` is."""
        return index if self.chosen is None else self.chosen[index]

    def id_of(self, index: int) -> str:
        """The id of a sample's row."""
        return self.table.ids[self.place(index)]

    def cut(self, most: int | None = None) -> list[int]:
        """The rows whose text has more word pieces than there is room for; of long texts, `most` are looked at."""
        room, first = self.text.max_seq_length - 2, self.table.texts[0]
        long = np.flatnonzero(first.most_pieces(self.text.tokenizer.longest_decomposition) > room)[:most].tolist()
        return [long[index] for index in self.text.tokenizer.longer_than([first[row] for row in long], room)]

    def check(self) -> None:
        """Raises InputError for the first image without features."""
        if self.images is not None:
            self.images.check(self.table)

    def facts(self, answers: Sequence[str] | None = None, samples: int | None = None) -> DatasetFacts:
        """Size, word pieces, and what the answers stand for."""
        known = self.lengths if samples in (None, len(self)) and self.table.choices is None else None
        size = len(self) if samples is None else samples
        return DatasetFacts(size, self.text.tokenizer.vocab_size, answers or None, known)

    def lengths(self) -> np.ndarray:
        """Tokens of each row's texts and images (N,)."""
        rows = range(len(self))
        special = 1 + len(self.table.texts)
        lengths = text_lengths(self.text, (" ".join(filter(None, self[row].texts)) for row in rows), special)
        if self.images is None:
            return lengths
        return lengths + np.array([self.images.count(self[row]) for row in rows])

    def beginning(self, index: int, example: TableExample) -> Sample:
        """`id` () and the tensors of the images."""
        sample = {"id": torch.tensor(index)}
        return sample if self.images is None else sample | self.images.tensors(example)

    def hidden(self, index: int, assembled: Assembled) -> Sample:
        """The text's tensors with some word pieces hidden: `masked_lm_labels` (T,) beside them, and as `targets`."""
        assert self.masking is not None
        with repeatable_draws(index if self.repeatable else None):
            masked = self.masking(assembled)._asdict()
        return {**assembled.tensors(), **masked, "targets": masked["masked_lm_labels"]}
