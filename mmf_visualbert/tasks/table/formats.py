"""Rows of a table's file, whatever its form: JSON lines, a json list, csv, tsv or parquet."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert.compat.optional import require as require_package
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_json_lines, require

MOST_CHARACTERS = 1 << 24  # of a csv cell


class TableRow(NamedTuple):
    """One row: what errors call it, and its cells by column."""

    where: str
    cells: dict[str, Any]


def read_rows(path: Path) -> Iterator[TableRow]:
    """The rows of a file, by its ending: `.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`.

    Raises:
        InputError: for another ending, or a row that is none, naming the file and the row.
    """
    if path.suffix not in READERS:
        raise InputError(f"{path} ends in '{path.suffix}'; a table is one of {', '.join(READERS)}")
    yield from READERS[path.suffix](require(path))


def _json_lines(path: Path) -> Iterator[TableRow]:
    for number, record in read_json_lines(path):
        yield TableRow(f"{path} line {number}", record)


def _json_list(path: Path) -> Iterator[TableRow]:
    whole = read_json(path)
    if not isinstance(whole, list):
        raise InputError(f"{path} is no json list of objects; write [{{...}}, ...], or one object a line as .jsonl")
    for number, record in enumerate(whole, start=1):
        if not isinstance(record, dict):
            raise InputError(f"{path} entry {number} is {record!r}; write an object with the columns as its fields")
        yield TableRow(f"{path} entry {number}", record)


def _csv(path: Path) -> Iterator[TableRow]:
    yield from _separated(path, ",")


def _tsv(path: Path) -> Iterator[TableRow]:
    yield from _separated(path, "\t")


def _separated(path: Path, delimiter: str) -> Iterator[TableRow]:
    csv.field_size_limit(MOST_CHARACTERS)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(rows, None)
            if not header:
                raise InputError(f"{path} has no header; write the names of the columns into its first line")
            for cells in rows:
                where = f"{path} line {rows.line_num}"
                if cells and len(cells) != len(header):
                    raise InputError(
                        f"{where} has {len(cells)} cells and the header names {len(header)} columns; put cells with "
                        f"a '{delimiter}' or a line break in them into quotes"
                    )
                if cells:
                    yield TableRow(where, dict(zip(header, cells, strict=True)))
        except csv.Error as error:
            raise InputError(f"{path} line {rows.line_num} is no csv ({error}); close its quotes") from None
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is no text in UTF-8 after line {rows.line_num} ({error.reason}); save the table in UTF-8"
            ) from None


def _parquet(path: Path) -> Iterator[TableRow]:
    parquet = require_package("pyarrow.parquet", "reading a parquet table")
    try:
        file = parquet.ParquetFile(path, memory_map=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no whole parquet file ({error}); write or copy it again") from None
    number = 0
    for batch in file.iter_batches():
        for record in batch.to_pylist():
            number += 1
            yield TableRow(f"{path} row {number}", record)


READERS: dict[str, Callable[[Path], Iterator[TableRow]]] = {
    ".jsonl": _json_lines,
    ".json": _json_list,
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
}
