"""A table of texts and their images: does the text describe the image (§3.3, objective 2)?

Training shows each text with its image or, as often, another text with it. Evaluation shows every text with every image
of its pool, so that the images of a text, and the texts of an image, can be ranked: a sample for each such couple. With
masking it is phase 1 of the paper on a table of captions.
"""

import bisect
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.contracts import DatasetFacts, Sample
from mmf_visualbert.datasets.draws import repeatable_draws
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.table.rows import Rows

logger = logging.getLogger(__name__)
MANY = 1_000_000  # couples, from which on an evaluation is said to be long


class Couple(NamedTuple):
    """A text (its row) and an image (the first row of the pool that has it) that are shown together."""

    text: int
    image: int


class PairsDataset:
    """Texts with their own images and with others.

    Args:
        rows: the pairs.
        couples: every text with every image of its pool; False: a text with its image or another, drawn.
        pool: the rows that are ranked among each other, in the order of the table; None: all.

    Raises:
        InputError: for a row without an image, or a single image in all.
    """

    def __init__(self, rows: Rows, couples: bool, pool: int | None = None) -> None:
        if rows.images is None:
            raise InputError("the kind 'retrieval' pairs texts with images; name columns.image")
        if pool is not None and pool < 2:
            raise InputError(f"pool is {pool}; set it to 2 or more, or to null for all rows")
        self.rows, self.couples = rows, couples
        rows.check()
        self.keys = _keys_of(rows)
        if len(set(self.keys)) < 2:
            raise InputError(f"all rows have the image '{self.keys[0]}'; a text has to be told from those of another")
        self.pools = _pools(self.keys, pool or len(self.keys))
        self.starts = [0]
        for one in self.pools:
            self.starts.append(self.starts[-1] + len(one.texts) * len(one.images))
        if couples and self.starts[-1] > MANY:
            logger.warning("an evaluation shows %d couples of a text and an image; set pool to less", self.starts[-1])

    def __len__(self) -> int:
        return self.starts[-1] if self.couples else len(self.rows)

    @property
    def facts(self) -> DatasetFacts:
        """Its size and its word pieces."""
        return self.rows.facts(samples=len(self))

    def couple(self, index: int) -> Couple:
        """The text and the image of sample `index`."""
        if not self.couples:
            with repeatable_draws(index if self.rows.repeatable else None):
                return self._drawn(index)
        number = bisect.bisect_right(self.starts, index) - 1
        pool = self.pools[number]
        text, image = divmod(index - self.starts[number], len(pool.images))
        return Couple(pool.texts[text], pool.images[image])

    def __getitem__(self, index: int) -> Sample:
        """`id` (), the text's and the regions' tensors, and `sentence_image_labels` (), 1 where they belong together,
        also as `targets`; of an evaluation `text_index` and `image_index` (), of a masked text `masked_lm_labels`."""
        couple = self.couple(index)
        text, image = self.rows[couple.text], self.rows[couple.image]
        assembled = self.rows.text.single(text.texts[0])
        sample = self.rows.beginning(index, image)
        sample |= assembled.tensors() if self.rows.masking is None else self.rows.hidden(index, assembled)
        label = torch.tensor(int(self.keys[couple.text] == self.keys[couple.image]))
        sample |= {"sentence_image_labels": label, "targets": label}
        if self.couples:
            sample |= {"text_index": torch.tensor(couple.text), "image_index": torch.tensor(couple.image)}
        return sample

    def _drawn(self, index: int) -> Couple:
        """The image of a row with its text, or with a text of another image."""
        if int(torch.randint(2, ())):
            return Couple(index, index)
        other = index
        while self.keys[other] == self.keys[index]:
            other = int(torch.randint(len(self.keys), ()))
        return Couple(other, index)

    def predictions(self, output: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """One entry a couple: `id` of the text's row, `image` and the `probability` that they belong together.

        Args:
            output: `id` (B,) and `scores` (B, 2) logits.
        """
        probabilities = output["scores"].detach().float().cpu().softmax(-1)[:, 1].tolist()
        shown = [self.couple(index) for index in output["id"].tolist()]
        return [
            {"id": self.rows.id_of(text), "image": self.keys[image], "probability": probability}
            for (text, image), probability in zip(shown, probabilities, strict=True)
        ]


class _Pool(NamedTuple):
    """Rows whose texts and images are ranked among each other; of each image its first row in the pool, which names it
    there: an image of two pools has the texts of each by themselves."""

    texts: range
    images: list[int]


def _pools(keys: Sequence[str], size: int) -> list[_Pool]:
    pools = []
    for start in range(0, len(keys), size):
        texts = range(start, min(start + size, len(keys)))
        first: dict[str, int] = {}
        for place in texts:
            first.setdefault(keys[place], place)
        pools.append(_Pool(texts, list(first.values())))
    return pools


def _keys_of(rows: Rows) -> list[str]:
    """The image of each row."""
    table = rows.table
    numbers = table.images[0] if rows.chosen is None else table.images[0][list(rows.chosen)]
    if (numbers < 0).any():
        where = table.where(rows.place(int((numbers < 0).argmax())))
        raise InputError(f"{where} has no image, and a pair needs one; name it, or drop the row")
    return [table.keys[number] for number in numbers.tolist()]
