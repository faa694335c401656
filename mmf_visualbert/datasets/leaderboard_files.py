"""The two forms of leaderboard files, json and csv: written, and read entry by entry with what is wrong in words."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert.contracts import Entry
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_rows


class JsonEntry(NamedTuple):
    """An entry of a json list: where it stands, itself, and what is wrong with it; one of the two is None."""

    place: str
    entry: Entry | None
    fault: str | None


class CsvRow(NamedTuple):
    """A row of a csv file: its line number, from 1, and its cells."""

    line: int
    cells: list[str]


def json_text(entries: Iterable[Entry], fields: Sequence[str]) -> str:
    """A json list of these fields of the entries."""
    return json.dumps([{field: entry[field] for field in fields} for entry in entries]) + "\n"


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as csv."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def json_entries(path: Path, fields: Sequence[str], exact: bool) -> Iterator[JsonEntry]:
    """The entries of a json list of objects with these fields; `exact`: and with no others.

    Raises:
        InputError: where the file is no json list.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path} is no json list of entries; write it anew from the predictions")
    for number, entry in enumerate(entries):
        place = f"entry {number}"
        if not isinstance(entry, dict):
            yield JsonEntry(place, None, f"{entry!r} is no object")
        elif missing := [field for field in fields if field not in entry]:
            yield JsonEntry(place, None, f"it has no '{missing[0]}'")
        elif exact and len(entry) > len(fields):
            extra = next(name for name in entry if name not in fields)
            yield JsonEntry(place, None, f"it has the field '{extra}' too much")
        else:
            yield JsonEntry(place, entry, None)


def csv_rows(path: Path) -> Iterator[CsvRow]:
    """The rows of a csv file.

    Raises:
        InputError: where it is none.
    """
    for number, row in read_rows(path):
        yield CsvRow(number, row)


def is_number(text: str) -> bool:
    """Whether a cell holds a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_box(box: Any) -> bool:
    """Whether a json value is a box x1 < x2, y1 < y2 of finite numbers."""
    if not (isinstance(box, list) and len(box) == 4):
        return False
    if any(type(side) not in (int, float) or not math.isfinite(side) for side in box):
        return False
    return box[0] < box[2] and box[1] < box[3]
