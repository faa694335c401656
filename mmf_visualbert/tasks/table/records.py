"""A table as examples: which column is what, which rows belong to a split, and what is wrong with a row."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert.datasets.columns import Strings
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.table.formats import TableRow, read_rows
from mmf_visualbert.tasks.table.kinds import Kind

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".npy"}
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

    Strings lie in arrays, so that a million rows take little more memory than their text, and forked workers share it.

    Args:
        examples: read once.
    """

    def __init__(self, examples: Iterator[TableExample]) -> None:
        ids, wheres, labels = [], [], []
        packed: list[str] = []
        for example in examples:
            ids.append(example.id)
            wheres.append(example.where)
            labels.append(json.dumps(example.label))
            packed.append(json.dumps([example.texts, example.images]))
        self.ids, self.wheres, self._labels, self._packed = (Strings(part) for part in (ids, wheres, labels, packed))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> TableExample:
        texts, images = json.loads(self._packed[index])
        return TableExample(self.ids[index], tuple(texts), tuple(images), self.label(index), self.wheres[index])

    def __iter__(self) -> Iterator[TableExample]:
        return (self[index] for index in range(len(self)))

    def label(self, index: int) -> Any:
        """The label of an example."""
        return json.loads(self._labels[index])


def read_table(
    paths: Sequence[Path], split: str, kind: Kind, columns: TableColumns, shares: Shares, labels_required: bool
) -> Table:
    """The examples of one split.

    Args:
        paths: the table's files.
        split: train, val or test.
        kind: what a label is.
        columns: which column is what.
        shares: how rows are drawn, where all splits name the same files.
        labels_required: whether a row without a label is an error.

    Raises:
        InputError: a column that is not there, an empty text, an id that stands twice, a missing label, or no row.
    """
    table = Table(_examples(paths, split, kind, columns, shares, labels_required))
    if not len(table):
        raise InputError(f"the split '{split}' has no row in {', '.join(map(str, paths))}; name a file that has rows")
    return table


def _examples(
    paths: Sequence[Path], split: str, kind: Kind, columns: TableColumns, shares: Shares, labels_required: bool
) -> Iterator[TableExample]:
    seen: dict[str, str] = {}
    for path in paths:
        for number, row in enumerate(read_rows(path)):
            row_id = _id(row, columns, number)
            if row_id in seen:
                raise InputError(f"{row.where}: the id '{row_id}' stands in {seen[row_id]} too; give each row its own")
            seen[row_id] = row.where
            if _split_of(row, row_id, columns, shares, split) == split:
                yield _example(row, row_id, kind, columns, labels_required)


def _split_of(row: TableRow, row_id: str, columns: TableColumns, shares: Shares, split: str) -> str:
    if columns.split is not None:
        named = _cell(row, columns.split)
        if named not in SPLITS:
            raise InputError(f"{row.where}: the split is {named!r}; write one of {', '.join(SPLITS)}")
        return str(named)
    return shares.split_of(row_id) if shares else split


def _example(row: TableRow, row_id: str, kind: Kind, columns: TableColumns, labels_required: bool) -> TableExample:
    texts = [_text(row, name) for name in (columns.text, columns.text_b) if name is not None]
    if kind.has_choices:
        texts += _choices(row, columns)
    images = [_key(row, name) for name in (columns.image, columns.image_b) if name is not None]
    label = None
    labels_required = labels_required and kind.has_label
    if kind.has_label and columns.label is not None and (labels_required or columns.label in row.cells):
        label = kind.read_label(_cell(row, columns.label), row.where)
        if label is None and labels_required:
            raise InputError(f"{row.where} has no label in '{columns.label}'; only a test split may lack labels")
    return TableExample(row_id, tuple(texts), tuple(image for image in images if image), label, row.where)


def _cell(row: TableRow, column: str) -> Any:
    if column not in row.cells:
        raise InputError(
            f"{row.where} has no column '{column}', only {', '.join(map(str, row.cells))}; name the right one in "
            "dataset_config.visualbert_table.columns"
        )
    return row.cells[column]


def _id(row: TableRow, columns: TableColumns, number: int) -> str:
    if columns.id is None:
        return str(number)
    value = _cell(row, columns.id)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InputError(f"{row.where}: the id is {value!r}; give a text or a whole number")
    return str(value)


def _text(row: TableRow, column: str) -> str:
    value = _cell(row, column)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{row.where}: the text in '{column}' is {value!r}; write one, or drop the row")
    return value


def _choices(row: TableRow, columns: TableColumns) -> list[str]:
    if columns.choices is None:
        raise InputError("the kind 'choice' needs columns.choices; name the column with the list of choices")
    value = _cell(row, columns.choices)
    given = json.loads(value) if isinstance(value, str) and value.startswith("[") else value
    if not isinstance(given, list) or len(given) < 2 or not all(isinstance(each, str) and each for each in given):
        raise InputError(f"{row.where}: '{columns.choices}' is {value!r}; write a list of two or more texts")
    return given


def _key(row: TableRow, column: str) -> str:
    """The key of an image's features, its file name without extension; empty where the row has none."""
    value = _cell(row, column)
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{row.where}: the image in '{column}' is {value!r}; write its file or key")
    path = Path(str(value))
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_ENDINGS else str(path)
