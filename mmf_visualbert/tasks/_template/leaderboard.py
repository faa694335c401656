"""The file to send in: csv with the header `id,label`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mmf_visualbert.contracts import Entry, Leaderboard, Scanned
from mmf_visualbert.datasets.leaderboard_files import csv_rows, csv_text

from .records import LABELS, read_examples

HEADER = ["id", "label"]


def read_ids(annotations: Path) -> list[str]:
    """The ids that a file has to have."""
    return [example.id for example in read_examples([annotations], labels_required=False)]


def write(entries: Iterable[Entry]) -> str:
    """Predictions as the text of a file."""
    return csv_text([HEADER, *([entry[name] for name in HEADER] for entry in entries)])


def scan(path: Path) -> Iterator[Scanned]:
    """The entries of a file, with what is wrong with each."""
    for number, row in csv_rows(path):
        if number == 1 and row == HEADER:
            continue
        fault = None
        if len(row) != len(HEADER):
            fault = f"it has {len(row)} columns instead of {','.join(HEADER)}"
        elif row[1] not in LABELS:
            fault = f"the label of {row[0]} is '{row[1]}' instead of {' or '.join(LABELS)}"
        yield Scanned(f"line {number}", row[0] if row else None, fault)


LEADERBOARD = Leaderboard(
    thing="example",
    annotations="the split's JSON lines",
    id_of=lambda entry: str(entry["id"]),
    read_ids=read_ids,
    write=write,
    scan=scan,
)
