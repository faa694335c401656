"""A table as examples: which column is what, which rows belong to a split, and what is wrong with a row."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mmf_visualbert.datasets.columns import Strings

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class TableColumns:
    """The user's names of the columns; None where the table has none.

    Attributes:
        id: what predictions are about; None: the number of the row.
        text: the text.
        text_b: a second text, the second segment.
        image: file or key of the image.
        image_b: of a second image.
        label: label, number, answer, or list of them.
        choices: of the kind `choice`, the list of second texts.
        split: the split of each row, where one file holds them all.
    """

    id: str | None = None
    text: str | None = "text"
    text_b: str | None = None
    image: str | None = "image"
    image_b: str | None = None
    label: str | None = "label"
    choices: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Shares:
    """Rows drawn for validation and test by the hash of their ids, so that every run draws the same.

    Attributes:
        val, test: shares, 0..1, of all rows.
        seed: another draws others.
    """

    val: float = 0.0
    test: float = 0.0
    seed: int = 0

    def __bool__(self) -> bool:
        return bool(self.val or self.test)

    def split_of(self, row_id: str) -> str:
        """The split that a row is drawn for."""
        digest = hashlib.sha256(f"{self.seed}:{row_id}".encode()).digest()
        draw = int.from_bytes(digest[:8], "big") / 2**64
        if draw < self.val:
            return "val"
        return "test" if draw < self.val + self.test else "train"


class TableExample(NamedTuple):
    """One example.

    Attributes:
        id: of its row.
        texts: one text, two, or for choices the text and then each choice.
        images: keys of no, one or two images.
        label: as the table has it; None where it is not known.
        where: what errors call it.
    """

    id: str
    texts: tuple[str, ...]
    images: tuple[str, ...]
    label: Any
    where: str


class Table:
    """The examples of one split in columns, a sequence of `TableExample`.

    Strings lie in arrays, labels and image keys are numbers of distinct ones, so that a million rows take little more
    memory than their text, and forked workers share it.

    Args:
        ids: of the rows.
        texts: of each column of texts, all rows.
        choices: of each row its choices as a json list; None where rows have none.
        images: (columns, rows) int32, the number of a row's image; -1 where it has none.
        keys: of the images by their number.
        labels: (rows,) int32, the number of a row's label; -1 where it has none.
        distinct: the labels by their number, as json.
        places: (rows, 2) int64, the number of a row's file and its own in there.
        files: what errors call a row of each file, without its number.
    """

    def __init__(
        self,
        ids: Sequence[str] | Strings,
        texts: Sequence[Strings],
        choices: Strings | None,
        images: np.ndarray,
        keys: Sequence[str],
        labels: np.ndarray,
        distinct: Sequence[str],
        places: np.ndarray,
        files: Sequence[str],
    ) -> None:
        self.ids, self.texts, self.choices = ids, texts, choices
        self.images, self.keys = images, keys
        self.label_numbers, self._distinct = labels, Strings(distinct)
        self._places, self._files = places, files

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> TableExample:
        texts = [column[index] for column in self.texts]
        if self.choices is not None:
            texts += json.loads(self.choices[index])
        images = tuple(self.keys[number] for number in self.images[:, index] if number >= 0)
        return TableExample(self.ids[index], tuple(texts), images, self.label(index), self.where(index))

    def __iter__(self) -> Iterator[TableExample]:
        return (self[index] for index in range(len(self)))

    def where(self, index: int) -> str:
        """What errors call a row."""
        file, number = self._places[index]
        return f"{self._files[file]} {number}"

    def label(self, index: int) -> Any:
        """The label of an example."""
        number = self.label_numbers[index]
        return None if number < 0 else json.loads(self._distinct[number])

    def first_of_label(self) -> Iterator[tuple[Any, int, int]]:
        """Each label that there is, how many rows have it, and the first of them."""
        numbers, firsts, counts = np.unique(self.label_numbers, return_index=True, return_counts=True)
        for number, first, count in zip(numbers.tolist(), firsts.tolist(), counts.tolist(), strict=True):
            if number >= 0:
                yield json.loads(self._distinct[number]), count, first

    def first_of_image(self) -> Iterator[tuple[str, int]]:
        """The key of each image that there is, and the first row that has it, in the order of these rows."""
        numbers, firsts = np.unique(self.images.T.reshape(-1), return_index=True)
        columns = len(self.images)
        for first, number in sorted(zip(firsts.tolist(), numbers.tolist(), strict=True)):
            if number >= 0:
                yield self.keys[number], first // columns
