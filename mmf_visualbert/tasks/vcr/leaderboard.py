"""VCR's leaderboard file: csv with annot_id, four scores of answers, and four scores of rationales for each answer."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from mmf_visualbert.contracts import Entry, Leaderboard, Scanned
from mmf_visualbert.datasets.leaderboard_files import csv_rows, csv_text, is_number
from mmf_visualbert.files.typed import Name, Schema
from mmf_visualbert.tasks.vcr.predictions import ANSWER_COLUMNS, CONDITIONED_COLUMNS


class Annotated(Struct, gc=False):
    """A line of the official file, as far as it matters here."""

    annot_id: Name


ANNOTATED = Schema(Annotated, "name VCR's official jsonl")
VCR_COLUMNS = ["annot_id", *ANSWER_COLUMNS, *CONDITIONED_COLUMNS]


def read_ids(annotations: Path) -> list[str]:
    """The ids that a file has to have, from the official annotations."""
    return [record.annot_id for _, record in ANNOTATED.read_lines(annotations)]


def write(entries: Iterable[Entry]) -> str:
    """`answer`: 4 scores; `rationale`: 4 x 4 scores, first index the answer that they are conditioned on."""
    rows: list[list[Any]] = [VCR_COLUMNS]
    for entry in entries:
        answer, rationale = list(entry["answer"]), list(entry["rationale"])
        scores = [float(score) for part in (answer, *rationale) for score in part]
        if [len(part) for part in (answer, *rationale)] != [4] * 5:
            raise ValueError(f"the scores of {entry['annot_id']} are not 4 and 4 x 4")
        rows.append([entry["annot_id"], *scores])
    return csv_text(rows)


def scan(path: Path) -> Iterator[Scanned]:
    """The entries of a file, with what is wrong with each."""
    rows = csv_rows(path)
    _, header = next(rows, (0, []))
    if header != VCR_COLUMNS:
        wrong = next((name for name in VCR_COLUMNS if name not in header), "")
        yield Scanned("line 1", None, f"the header lacks '{wrong}'" if wrong else "the columns are in another order")
        return
    for number, row in rows:
        fault = None
        if len(row) != len(VCR_COLUMNS):
            fault = f"it has {len(row)} columns instead of {len(VCR_COLUMNS)}"
        elif odd := [(name, cell) for name, cell in zip(header[1:], row[1:], strict=True) if not is_number(cell)]:
            fault = f"{odd[0][0]} of {row[0]} is '{odd[0][1]}' instead of a number"
        yield Scanned(f"line {number}", row[0] if row else None, fault)


LEADERBOARD = Leaderboard(
    thing="question",
    annotations="VCR's JSON lines",
    id_of=lambda entry: str(entry["annot_id"]),
    read_ids=read_ids,
    write=write,
    scan=scan,
)
