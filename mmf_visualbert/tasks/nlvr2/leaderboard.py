"""NLVR2's file for eval/metrics.py of lil-lab/nlvr: csv without header, `identifier,True` or `identifier,False`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mmf_visualbert.contracts import Entry, Leaderboard, Scanned
from mmf_visualbert.datasets.leaderboard_files import csv_rows, csv_text
from mmf_visualbert.tasks.nlvr2.records import LABELS, read_nlvr2


def read_ids(annotations: Path) -> list[str]:
    """The ids that a file has to have, from the official annotations."""
    return [example.identifier for example in read_nlvr2([annotations], labels_required=False)]


def write(entries: Iterable[Entry]) -> str:
    """Predictions as the text of a file."""
    return csv_text((entry["identifier"], entry["prediction"]) for entry in entries)


def scan(path: Path) -> Iterator[Scanned]:
    """The entries of a file, with what is wrong with each."""
    for number, row in csv_rows(path):
        fault = None
        if len(row) != 2:
            fault = f"it has {len(row)} columns instead of identifier,True or identifier,False"
        elif row[1] not in LABELS:
            fault = f"the prediction of {row[0]} is '{row[1]}' instead of True or False"
        yield Scanned(f"line {number}", row[0] if row else None, fault)


LEADERBOARD = Leaderboard(
    thing="example",
    annotations="NLVR2's JSON lines",
    id_of=lambda entry: str(entry["identifier"]),
    read_ids=read_ids,
    write=write,
    scan=scan,
)
