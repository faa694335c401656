"""A table's predictions as csv: `id`, `label` and `probability`.

The label is a name (several with `|` between them), a number, an answer, the box of each phrase (`x1 y1 x2 y2` with `|`
between them), or an image of which the probability is that the text describes it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mmf_visualbert.contracts import Entry, Leaderboard, Scanned
from mmf_visualbert.datasets.leaderboard_files import csv_rows, csv_text, is_number
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.table.formats import read_rows

HEADER = ["id", "label", "probability"]


def read_ids(annotations: Path) -> list[str]:
    """The ids of a table that has a column `id`.

    Raises:
        InputError: where it has none.
    """
    ids = []
    for row in read_rows(annotations):
        if "id" not in row.cells:
            raise InputError(f"{row.where} has no column 'id'; leave --annotations out, or give the table an id")
        ids.append(str(row.cells["id"]))
    return ids


def row_of(entry: Entry) -> list[object]:
    """The cells of one prediction."""
    if "value" in entry:
        return [entry["id"], entry["value"], ""]
    if "labels" in entry:
        return [entry["id"], "|".join(entry["labels"]), ""]
    if "phrases" in entry:
        return [entry["id"], "|".join(map(_box_of, entry["phrases"])), ""]
    if "image" in entry:
        return [entry["id"], entry["image"], entry["probability"]]
    if "answer" in entry:
        return [entry["id"], entry["answer"], entry["probability"]]
    return [entry["id"], entry["label"], entry.get("score", entry["probability"])]


def _box_of(phrase: Entry) -> str:
    return " ".join(f"{corner:g}" for corner in phrase["box"] or ())


def id_of(entry: Entry) -> str | tuple[str, str]:
    """What a prediction is about: a row, or a row's text with an image."""
    return (str(entry["id"]), entry["image"]) if "image" in entry else str(entry["id"])


def write(entries: Iterable[Entry]) -> str:
    """Predictions as the text of a file."""
    return csv_text([HEADER, *map(row_of, entries)])


def scan(path: Path) -> Iterator[Scanned]:
    """The entries of a file, with what is wrong with each."""
    for number, row in csv_rows(path):
        if number == 1 and row == HEADER:
            continue
        fault = None
        if len(row) != len(HEADER):
            fault = f"it has {len(row)} columns instead of {','.join(HEADER)}"
        elif row[2] and not is_number(row[2]):
            fault = f"the probability of {row[0]} is '{row[2]}' instead of a number"
        yield Scanned(f"line {number}", row[0] if row else None, fault)


LEADERBOARD = Leaderboard(
    thing="row",
    annotations="the table of the split, with a column id",
    id_of=id_of,
    read_ids=read_ids,
    write=write,
    scan=scan,
)
