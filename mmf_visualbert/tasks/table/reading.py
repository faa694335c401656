"""From a table's files to the examples of one split: which rows belong to it, and what is wrong with a row.

Cells are looked at a column at a time, and one by one only where something is wrong, to say where.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmf_visualbert.datasets.columns import StringParts
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import no_garbage_collection
from mmf_visualbert.tasks.table.formats import ABSENT, Chunk, form_of, read_chunks
from mmf_visualbert.tasks.table.kinds import Kind
from mmf_visualbert.tasks.table.records import SPLITS, Shares, Table, TableColumns

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".npy"}


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
    if kind.has_choices and columns.choices is None:
        raise InputError("the kind 'choice' needs columns.choices; name the column with the list of choices")
    reader = _Reader(split, kind, columns, shares, labels_required and kind.has_label)
    with no_garbage_collection():
        for path in paths:
            reader.read(path)
        table = reader.table()
    if not len(table):
        raise InputError(f"the split '{split}' has no row in {', '.join(map(str, paths))}; name a file that has rows")
    return table


class _Numbered:
    """Numbers for distinct cells.

    Args:
        value: (cell, where) -> what is kept of it; None for a cell that is empty, which has the number -1.
    """

    def __init__(self, value: Callable[[Any, str], Any]) -> None:
        self.value = value
        self.known: dict[Any, int] = {}
        self.values: list[Any] = []
        self._number_of: dict[str, int] = {}

    def numbers(self, cells: Sequence[Any], where: Callable[[int], str]) -> list[int]:
        """The number of each cell."""
        plain = set(map(type, cells)) <= {str}
        keys = cells if plain else [cell if type(cell) is str else (type(cell), repr(cell)) for cell in cells]
        known = self.known
        for index, key in enumerate(keys):
            if key not in known:
                known[key] = self._new(cells[index], where(index))
        return [known[key] for key in keys]

    def _new(self, cell: Any, where: str) -> int:
        value = self.value(cell, where)
        if value is None:
            return -1
        number = self._number_of.setdefault(json.dumps(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class _Numbers(Sequence[str]):
    """The numbers of rows as their ids."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        return str(int(self.numbers[index]))


class _Reader:
    """Reads files into columns."""

    def __init__(self, split: str, kind: Kind, columns: TableColumns, shares: Shares, labels_required: bool) -> None:
        self.split, self.kind, self.columns, self.shares = split, kind, columns, shares
        self.labels_required = labels_required
        self.seen: set[str] = set()
        self.rows = 0
        self.ids, self.numbers = StringParts(), [np.empty(0, np.int64)]
        self.text_columns = [name for name in (columns.text, columns.text_b) if name is not None]
        self.image_columns = [name for name in (columns.image, columns.image_b) if name is not None]
        self.texts = [StringParts() for _ in self.text_columns]
        self.choices = StringParts() if kind.has_choices else None
        self.images: list[list[np.ndarray]] = [[np.empty(0, np.int32)] for _ in self.image_columns]
        self.image_numbers = _Numbered(_key)
        self.labels = [np.empty(0, np.int32)]
        self.label_numbers = _Numbered(kind.read_label)
        self.places = [np.empty((0, 2), np.int64)]
        self.files: list[str] = []
        self.all_ids = StringParts()  # of every row, and where it stands, for an id that stands twice
        self.all_places: list[tuple[str, int]] = []

    def read(self, path: Path) -> None:
        """Reads a file."""
        self.files.append(f"{path} {form_of(path).called}")
        for chunk in read_chunks(path):
            self._add(chunk)

    def _where(self, number: int) -> str:
        return f"{self.files[-1]} {number}"

    def _add(self, chunk: Chunk) -> None:
        numbers = range(self.rows, self.rows + len(chunk))
        self.rows += len(chunk)
        ids = None if self.columns.id is None else self._ids(chunk)
        if ids is not None:
            self._refuse_twice(chunk, ids)
        chosen = self._chosen(chunk, ids or list(map(str, numbers)))
        if not chosen:
            return
        part = _Part(chunk, chosen, self.files[-1])
        self.numbers.append(np.array(numbers)[chosen])
        if ids is not None:
            self.ids.add([ids[index] for index in chosen])
        for parts, name in zip(self.texts, self.text_columns, strict=True):
            parts.add(part.texts(name))
        if self.choices is not None:
            self.choices.add(self._choices(part))
        for arrays, name in zip(self.images, self.image_columns, strict=True):
            arrays.append(np.array(self.image_numbers.numbers(part.cells(name), part.where), np.int32))
        self.labels.append(np.array(self._labels(part), np.int32))
        lines = np.array([chunk.numbers[index] for index in chosen], np.int64)
        self.places.append(np.stack([np.full_like(lines, len(self.files) - 1), lines], axis=1))

    def _ids(self, chunk: Chunk) -> list[str]:
        assert self.columns.id is not None
        cells = _Part(chunk, range(len(chunk)), self.files[-1]).cells(self.columns.id)
        if set(map(type, cells)) <= {str, int} and "" not in cells:
            return list(map(str, cells))
        index = next(i for i, cell in enumerate(cells) if type(cell) not in (str, int) or cell == "")
        raise InputError(
            f"{self._where(chunk.numbers[index])}: the id is {cells[index]!r}; give a text or a whole number"
        )

    def _refuse_twice(self, chunk: Chunk, ids: list[str]) -> None:
        before = len(self.seen)
        self.seen.update(ids)
        self.all_places += [(self.files[-1], len(ids))]
        self.all_ids.add(ids)
        if len(self.seen) == before + len(ids):
            return
        everything = list(self.all_ids.whole())
        first: dict[str, int] = {}
        for place, one in enumerate(everything):
            if one in first:
                here = self._where(chunk.numbers[place - (len(everything) - len(ids))])
                there = self._place(first[one], chunk, ids)
                raise InputError(f"{here}: the id '{one}' stands in {there} too; give each row its own")
            first[one] = place

    def _place(self, place: int, chunk: Chunk, ids: list[str]) -> str:
        """Where row `place` of all is: this chunk's rows by their line, those before by their number in the file."""
        start = self.rows - len(ids)
        if place >= start:
            return self._where(chunk.numbers[place - start])
        for file, count in self.all_places:
            if place < count:
                return f"row {place + 1} of {file.rpartition(' ')[0]}"
            place -= count
        return self.files[-1]

    def _chosen(self, chunk: Chunk, ids: Sequence[str]) -> Sequence[int]:
        """Which rows of a chunk are the split's."""
        if self.columns.split is not None:
            part = _Part(chunk, range(len(chunk)), self.files[-1])
            named = part.cells(self.columns.split)
            wrong = next((index for index, name in enumerate(named) if name not in SPLITS), None)
            if wrong is not None:
                raise InputError(
                    f"{part.where(wrong)}: the split is {named[wrong]!r}; write one of {', '.join(SPLITS)}"
                )
            return [index for index, name in enumerate(named) if name == self.split]
        if self.shares:
            return [index for index, one in enumerate(ids) if self.shares.split_of(one) == self.split]
        return range(len(chunk))

    def _labels(self, part: "_Part") -> list[int]:
        name = self.columns.label
        if not self.kind.has_label or name is None:
            return [-1] * len(part.chosen)
        numbers = self.label_numbers.numbers(part.cells(name, self.labels_required), part.where)
        if self.labels_required and -1 in numbers:
            where = part.where(numbers.index(-1))
            raise InputError(f"{where} has no label in '{name}'; only a test split may lack labels")
        return numbers

    def _choices(self, part: "_Part") -> list[str]:
        name = self.columns.choices
        assert name is not None
        read = [_choices(cell, name, part, index) for index, cell in enumerate(part.cells(name))]
        return [json.dumps(choices) for choices in read]

    def table(self) -> Table:
        """What was read."""
        numbers = np.concatenate(self.numbers)
        return Table(
            _Numbers(numbers) if self.columns.id is None else self.ids.whole(),
            [parts.whole() for parts in self.texts],
            None if self.choices is None else self.choices.whole(),
            np.stack([np.concatenate(arrays) for arrays in self.images])
            if self.images
            else np.empty((0, len(numbers)), np.int32),
            self.image_numbers.values,
            np.concatenate(self.labels),
            [json.dumps(value) for value in self.label_numbers.values],
            np.concatenate(self.places),
            self.files,
        )


class _Part:
    """The chosen rows of a chunk.

    Args:
        chunk: all rows.
        chosen: which.
        file: what errors call a row, without its number.
    """

    def __init__(self, chunk: Chunk, chosen: Sequence[int], file: str) -> None:
        self.chunk, self.chosen, self.file = chunk, chosen, file

    def where(self, index: int) -> str:
        """What errors call the row of this place."""
        return f"{self.file} {self.chunk.numbers[self.chosen[index]]}"

    def cells(self, name: str, required: bool = True) -> Sequence[Any]:
        """A column's cells; None for absent ones where they are not required."""
        cells = self.chunk.column(name)
        if len(self.chosen) != len(cells):
            cells = [cells[index] for index in self.chosen]
        if ABSENT not in cells:
            return cells
        if not required:
            return [None if cell is ABSENT else cell for cell in cells]
        index = next(index for index, cell in enumerate(cells) if cell is ABSENT)
        there = ", ".join(map(str, self.chunk.row(self.chosen[index])))
        raise InputError(
            f"{self.where(index)} has no column '{name}', only {there}; name the right one in "
            "dataset_config.visualbert_table.columns"
        )

    def texts(self, name: str) -> Sequence[str]:
        """A column of texts.

        Raises:
            InputError: for one that is empty, or none.
        """
        cells = self.cells(name)
        for index, cell in enumerate(cells):
            if type(cell) is not str or not cell.strip():
                raise InputError(f"{self.where(index)}: the text in '{name}' is {cell!r}; write one, or drop the row")
        return cells


def _choices(cell: Any, name: str, part: _Part, index: int) -> list[str]:
    given = json.loads(cell) if isinstance(cell, str) and cell.startswith("[") else cell
    if isinstance(given, str) and "|" in given:
        given = [choice.strip() for choice in given.split("|")]
    if not isinstance(given, list) or len(given) < 2 or not all(isinstance(each, str) and each for each in given):
        raise InputError(f"{part.where(index)}: '{name}' is {cell!r}; write a list of two or more texts")
    return given


def _key(cell: Any, where: str) -> str | None:
    """The key of an image's features, its file name without extension; None where the row has none."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, list) and len(cell) > 1:
        raise InputError(
            f"{where} has {len(cell)} images in one cell; name one, or give the second a column of its own (columns."
            "image_b)"
        )
    if isinstance(cell, bool) or not isinstance(cell, str | int):
        raise InputError(f"{where}: the image is {cell!r}; write its file or key")
    path = Path(str(cell))
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_ENDINGS else str(path)
