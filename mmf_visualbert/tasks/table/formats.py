"""Rows of a table's file, whatever its form: JSON lines, a json list, csv, tsv or parquet.

They are read in chunks of columns, so that a million rows take seconds; `read_rows` gives them one by one.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mmf_visualbert.compat.optional import require as require_package
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import open_bytes, read_json, read_json_lines, require

MOST_CHARACTERS = 1 << 24  # of a csv cell
CHUNK = 4096
ABSENT = object()


class TableRow(NamedTuple):
    """One row: what errors call it, and its cells by column."""

    where: str
    cells: dict[str, Any]


class Chunk(Protocol):
    """Some rows of a file, in columns."""

    @property
    def numbers(self) -> Sequence[int]:
        """Of the rows in their file."""

    def __len__(self) -> int: ...

    def column(self, name: str) -> Sequence[Any]:
        """The cells of a column; `ABSENT` where a row has none."""

    def row(self, index: int) -> dict[str, Any]:
        """All cells of a row, by column."""


class Columns(NamedTuple):
    """A chunk of a form whose rows all have the same columns."""

    numbers: Sequence[int]
    cells: dict[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(self.numbers)

    def column(self, name: str) -> Sequence[Any]:
        """As `Chunk`."""
        return self.cells.get(name) or [ABSENT] * len(self)

    def row(self, index: int) -> dict[str, Any]:
        """As `Chunk`."""
        return {name: cells[index] for name, cells in self.cells.items()}


class Records(NamedTuple):
    """A chunk of objects, each with fields of its own."""

    numbers: Sequence[int]
    records: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.numbers)

    def column(self, name: str) -> Sequence[Any]:
        """As `Chunk`."""
        return [record.get(name, ABSENT) for record in self.records]

    def row(self, index: int) -> dict[str, Any]:
        """As `Chunk`."""
        return self.records[index]


class Form(NamedTuple):
    """A form of file: how it is read, and what a row is called."""

    read: Callable[[Path], Iterator[Chunk]]
    called: str


def form_of(path: Path) -> Form:
    """The form of a file, by its ending: `.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`.

    Raises:
        InputError: for another ending.
    """
    if path.suffix not in FORMS:
        raise InputError(f"{path} ends in '{path.suffix}'; a table is one of {', '.join(FORMS)}")
    return FORMS[path.suffix]


def read_chunks(path: Path) -> Iterator[Chunk]:
    """The rows of a file, in chunks.

    Raises:
        InputError: for a form that is none, or a row that is none, naming the file and the row.
    """
    form = form_of(path)
    yield from form.read(require(path))


def read_rows(path: Path) -> Iterator[TableRow]:
    """The rows of a file, one by one.

    Raises:
        InputError: as `read_chunks`.
    """
    called = form_of(path).called
    for chunk in read_chunks(path):
        for index, number in enumerate(chunk.numbers):
            yield TableRow(f"{path} {called} {number}", chunk.row(index))


def _records(numbered: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Chunk]:
    rows = iter(numbered)
    while chunk := list(islice(rows, CHUNK)):
        yield Records([number for number, _ in chunk], [record for _, record in chunk])


def _json_lines(path: Path) -> Iterator[Chunk]:
    return _records(read_json_lines(path))


def _json_list(path: Path) -> Iterator[Chunk]:
    whole = read_json(path)
    if not isinstance(whole, list):
        raise InputError(f"{path} is no json list of objects; write [{{...}}, ...], or one object a line as .jsonl")
    for number, record in enumerate(whole, start=1):
        if not isinstance(record, dict):
            raise InputError(f"{path} entry {number} is {record!r}; write an object with the columns as its fields")
    return _records(enumerate(whole, start=1))


def _csv(path: Path) -> Iterator[Chunk]:
    return _separated(path, ",")


def _tsv(path: Path) -> Iterator[Chunk]:
    return _separated(path, "\t")


def _separated(path: Path, delimiter: str) -> Iterator[Chunk]:
    csv.field_size_limit(MOST_CHARACTERS)
    with open_bytes(path):
        pass  # refuses what is no text, as everywhere
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(rows, None)
            if not header:
                raise InputError(f"{path} has no header; write the names of the columns into its first line")
            if len(set(header)) != len(header):
                twice = next(name for name in header if header.count(name) > 1)
                raise InputError(f"{path} has two columns '{twice}'; give each its own name")
            while chunk := _chunk_of_cells(path, rows, header, delimiter):
                yield chunk
        except csv.Error as error:
            raise InputError(f"{path} line {rows.line_num} is no csv ({error}); close its quotes") from None
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is no text in UTF-8 after line {rows.line_num} ({error.reason}); save the table in UTF-8"
            ) from None


def _chunk_of_cells(path: Path, rows: Any, header: list[str], delimiter: str) -> Columns | None:
    """The next rows of a csv reader; None at the end. Blank lines are passed over."""
    numbers, cells = [], []
    for row in rows:
        if row:
            numbers.append(rows.line_num)
            cells.append(row)
            if len(cells) == CHUNK:
                break
    if set(map(len, cells)) - {len(header)}:
        number, wrong = next((n, row) for n, row in zip(numbers, cells, strict=True) if len(row) != len(header))
        raise InputError(
            f"{path} line {number} has {len(wrong)} cells and the header names {len(header)} columns; put cells with "
            f"a '{delimiter}' or a line break in them into quotes"
        )
    return Columns(numbers, dict(zip(header, zip(*cells, strict=True), strict=True))) if cells else None


def _parquet(path: Path) -> Iterator[Chunk]:
    parquet = require_package("pyarrow.parquet", "reading a parquet table")
    number = 1
    try:
        for batch in parquet.ParquetFile(path, memory_map=True).iter_batches(batch_size=CHUNK):
            cells = {name: column.to_pylist() for name, column in zip(batch.schema.names, batch.columns, strict=True)}
            yield Columns(range(number, number + batch.num_rows), cells)
            number += batch.num_rows
    except (OSError, ValueError, LookupError, NotImplementedError, MemoryError) as error:  # pyarrow's are among them
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is no whole parquet file ({reason}); write or copy it again") from None


FORMS = {
    ".jsonl": Form(_json_lines, "line"),
    ".json": Form(_json_list, "entry"),
    ".csv": Form(_csv, "line"),
    ".tsv": Form(_tsv, "line"),
    ".parquet": Form(_parquet, "row"),
}
