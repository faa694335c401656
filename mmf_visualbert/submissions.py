"""Leaderboard files: written from predictions, and checked before somebody uploads them.

| task      | file                                                                              | goes to          |
|-----------|-----------------------------------------------------------------------------------|------------------|
| vqa2      | json: [{"question_id": 42, "answer": "yes"}, ...]                                 | EvalAI           |
| nlvr2     | csv without header: identifier,True|False                                         | eval/metrics.py  |
| vcr       | csv: annot_id, answer_0..3, rationale_conditioned_on_a0_0..a3_3                   | VCR's leaderboard|
| flickr30k | json: [{"image_id": "36979", "sentence": 1, "first_word": 0, "box": [x1, y1, x2, y2]}, ...] | nowhere |

Flickr30K Entities has no leaderboard. Its file is our own: one box (pixels, or null where the phrase was cut off) for
each phrase that has a gold box; a phrase is named by its image, the number of its sentence (from 1) and its first word
(from 0).
"""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_json_lines, require
from mmf_visualbert.tasks.flickr30k.records import read_captions
from mmf_visualbert.tasks.nlvr2.records import LABELS, read_nlvr2

Id = Any  # int, str, or a tuple of them
Entry = Mapping[str, Any]

VCR_ANSWERS = [f"answer_{choice}" for choice in range(4)]
VCR_RATIONALES = [f"rationale_conditioned_on_a{answer}_{choice}" for answer in range(4) for choice in range(4)]
VCR_COLUMNS = ["annot_id", *VCR_ANSWERS, *VCR_RATIONALES]


class Scanned(NamedTuple):
    """One entry of a leaderboard file.

    Attributes:
        place: where it stands, as "line 3".
        id: what it is about; None where that cannot be read.
        fault: what is wrong with it, in words; None where nothing is.
    """

    place: str
    id: Id
    fault: str | None


class Leaderboard(NamedTuple):
    """The file of one task.

    Attributes:
        thing: what an entry is about, as errors call it.
        id_of: the id of a prediction.
        read_ids: the ids that the file has to have, from the official annotations.
        write: predictions to the text of the file.
        scan: the entries of a file.
    """

    thing: str
    id_of: Callable[[Entry], Id]
    read_ids: Callable[[Path], list[Id]]
    write: Callable[[Iterable[Entry]], str]
    scan: Callable[[Path], Iterator[Scanned]]


class Written(NamedTuple):
    """What `write` did: number of entries in the file, and of repeated predictions that it left out."""

    entries: int
    repeated: int


def check(task: str, path: Path, annotations: Path) -> int:
    """Checks a leaderboard file: every entry well formed, every example of the split there once, and nothing else.

    Args:
        task: vqa2, nlvr2, vcr or flickr30k.
        path: the file.
        annotations: VQA's questions json, NLVR2's or VCR's JSON lines, Flickr30K's split file beside its folders.

    Returns:
        The number of entries.

    Raises:
        InputError: with the first fault and the number of faults.
    """
    board = leaderboard(task)
    wanted = board.read_ids(Path(annotations))
    _refuse(find_faults(board, require(path), wanted), task, path)
    return len(wanted)


def find_faults(board: Leaderboard, path: Path, wanted: Sequence[Id]) -> list[str]:
    """What is wrong with a file that has to have exactly the entries `wanted`, in words, first things first."""
    faults: list[str] = []
    seen: set[Id] = set()
    known = set(wanted)
    for place, entry_id, fault in board.scan(path):
        if fault is None and entry_id not in known:
            fault = f"the {board.thing} {_shown(entry_id)} is not in the annotations"
        elif fault is None and entry_id in seen:
            fault = f"the {board.thing} {_shown(entry_id)} stands there a second time"
        seen.add(entry_id)
        if fault is not None:
            faults.append(f"{place}: {fault}")
    return faults + [f"the {board.thing} {_shown(missing)} is missing" for missing in wanted if missing not in seen]


def _refuse(faults: Sequence[str], task: str, path: Path) -> None:
    if faults:
        raise InputError(
            f"{path} is no valid {task} submission: {faults[0]} ({len(faults)} fault{'s' * (len(faults) > 1)} in all); "
            "write it anew from predictions of the whole split"
        )


def write(task: str, predictions: Iterable[Entry], path: Path, annotations: Path | None = None) -> Written:
    """Writes a leaderboard file from a dataset's predictions, each example once; under its name only when it is whole.

    MMF's samplers repeat some examples on several GPUs, so the first prediction of an example counts.

    Args:
        task: vqa2, nlvr2, vcr or flickr30k.
        predictions: what the dataset's `predictions` gives, or MMF's report of them.
        path: of the file to write.
        annotations: as in `check`; then the file is in their order and checked before it appears.

    Raises:
        InputError: a prediction that is not this task's, and what `check` finds; an older file is left as it is.
    """
    board = leaderboard(task)
    entries = list(predictions)
    kept = _each_once(board, task, entries)
    wanted = None if annotations is None else board.read_ids(Path(annotations))
    if wanted is not None:
        order = {entry_id: place for place, entry_id in enumerate(wanted)}
        kept = dict(sorted(kept.items(), key=lambda item: order.get(item[0], len(order))))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(_text(board, task, kept), encoding="utf-8")
        if wanted is not None:
            _refuse(find_faults(board, partial, wanted), task, path)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return Written(len(kept), len(entries) - len(kept))


def _each_once(board: Leaderboard, task: str, entries: Sequence[Entry]) -> dict[Id, Entry]:
    kept: dict[Id, Entry] = {}
    for number, entry in enumerate(entries):
        try:
            kept.setdefault(board.id_of(entry), entry)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"prediction {number} is no {task} prediction ({type(error).__name__}: {error}); give the report of "
                f"mmf_predict on visualbert_{task}"
            ) from None
    return kept


def _text(board: Leaderboard, task: str, kept: Mapping[Id, Entry]) -> str:
    try:
        return board.write(kept.values())
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"a prediction lacks what a {task} submission needs ({type(error).__name__}: {error}); give the report of "
            f"mmf_predict on visualbert_{task}"
        ) from None


def leaderboard(task: str) -> Leaderboard:
    """The leaderboard file of a task.

    Raises:
        InputError: for a task that there is not.
    """
    if task not in LEADERBOARDS:
        raise InputError(f"there is no task '{task}'; name one of {', '.join(LEADERBOARDS)}")
    return LEADERBOARDS[task]


def _shown(entry_id: Id) -> str:
    return " ".join(str(part) for part in entry_id) if isinstance(entry_id, tuple) else str(entry_id)


def _json_text(entries: Iterable[Entry], fields: Sequence[str]) -> str:
    return json.dumps([{field: entry[field] for field in fields} for entry in entries]) + "\n"


def _csv_text(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _json_entries(path: Path, fields: Sequence[str], exact: bool) -> Iterator[tuple[str, Entry | None, str | None]]:
    """(place, entry, fault) of a json list of objects with these fields; `exact`: and with no others."""
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path} is no json list of entries; write it anew from the predictions")
    for number, entry in enumerate(entries):
        place = f"entry {number}"
        if not isinstance(entry, dict):
            yield place, None, f"{entry!r} is no object"
        elif missing := [field for field in fields if field not in entry]:
            yield place, None, f"it has no '{missing[0]}'"
        elif exact and len(entry) > len(fields):
            yield place, None, f"it has the field '{next(name for name in entry if name not in fields)}' too much"
        else:
            yield place, entry, None


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        try:
            for row in rows:
                yield rows.line_num, row
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{path} is no csv after line {rows.line_num} ({error}); write it anew") from None


# VQA 2.0


def _vqa2_ids(annotations: Path) -> list[int]:
    whole = read_json(annotations)
    try:
        return [question["question_id"] for question in whole["questions"]]
    except (KeyError, TypeError):
        raise InputError(f"{annotations} is no questions json of VQA 2.0; name the official file") from None


def _vqa2_scan(path: Path) -> Iterator[Scanned]:
    for place, entry, fault in _json_entries(path, ("question_id", "answer"), exact=True):
        if entry is None:
            yield Scanned(place, None, fault)
            continue
        question, answer = entry["question_id"], entry["answer"]
        if not isinstance(question, int) or isinstance(question, bool):
            fault = f"the question_id {question!r} is no integer"
        elif not isinstance(answer, str) or answer in ("", "<unk>"):
            fault = f"the answer of question {question} is {answer!r}"
        yield Scanned(place, question if isinstance(question, int | str) else None, fault)


# NLVR2


def _nlvr2_ids(annotations: Path) -> list[str]:
    return [example.identifier for example in read_nlvr2([annotations], labels_required=False)]


def _nlvr2_write(entries: Iterable[Entry]) -> str:
    return _csv_text((entry["identifier"], entry["prediction"]) for entry in entries)


def _nlvr2_scan(path: Path) -> Iterator[Scanned]:
    for number, row in _csv_rows(path):
        fault = None
        if len(row) != 2:
            fault = f"it has {len(row)} columns instead of identifier,True or identifier,False"
        elif row[1] not in LABELS:
            fault = f"the prediction of {row[0]} is '{row[1]}' instead of True or False"
        yield Scanned(f"line {number}", row[0] if row else None, fault)


# VCR


def _vcr_ids(annotations: Path) -> list[str]:
    ids = []
    for number, record in read_json_lines(annotations):
        if not isinstance(record.get("annot_id"), str):
            raise InputError(f"{annotations} line {number} has no annot_id; name VCR's official jsonl")
        ids.append(record["annot_id"])
    return ids


def _vcr_write(entries: Iterable[Entry]) -> str:
    """`answer`: 4 scores; `rationale`: 4 x 4 scores, first index the answer that they are conditioned on."""
    rows: list[list[Any]] = [VCR_COLUMNS]
    for entry in entries:
        answer, rationale = list(entry["answer"]), list(entry["rationale"])
        scores = [float(score) for part in (answer, *rationale) for score in part]
        if [len(part) for part in (answer, *rationale)] != [4] * 5:
            raise ValueError(f"the scores of {entry['annot_id']} are not 4 and 4 x 4")
        rows.append([entry["annot_id"], *scores])
    return _csv_text(rows)


def _vcr_scan(path: Path) -> Iterator[Scanned]:
    rows = _csv_rows(path)
    _, header = next(rows, (0, []))
    if header != VCR_COLUMNS:
        wrong = next((name for name in VCR_COLUMNS if name not in header), "")
        yield Scanned("line 1", None, f"the header lacks '{wrong}'" if wrong else "the columns are in another order")
        return
    for number, row in rows:
        fault = None
        if len(row) != len(VCR_COLUMNS):
            fault = f"it has {len(row)} columns instead of {len(VCR_COLUMNS)}"
        elif wrong := [(name, cell) for name, cell in zip(header[1:], row[1:], strict=True) if not _is_number(cell)]:
            fault = f"{wrong[0][0]} of {row[0]} is '{wrong[0][1]}' instead of a number"
        yield Scanned(f"line {number}", row[0] if row else None, fault)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


# Flickr30K Entities


def _flickr30k_id(entry: Entry) -> tuple[str, int, int]:
    return str(entry["image_id"]), int(entry["sentence"]), int(entry["first_word"])


def _flickr30k_ids(annotations: Path) -> list[tuple[str, int, int]]:
    config = {
        "data_dir": annotations.parent,
        "annotations": {"this": [annotations.name]},
        "sentences": "Sentences",
        "boxes": "Annotations",
        "strict": False,
    }
    captions, _ = read_captions(config, "this")
    return [(c.image_id, c.number, phrase.first_word) for c in captions for phrase in c.phrases]


def _flickr30k_write(entries: Iterable[Entry]) -> str:
    return _json_text(entries, ("image_id", "sentence", "first_word", "box"))


def _flickr30k_scan(path: Path) -> Iterator[Scanned]:
    for place, entry, fault in _json_entries(path, ("image_id", "sentence", "first_word", "box"), exact=False):
        if entry is None:
            yield Scanned(place, None, fault)
            continue
        box = entry["box"]
        phrase = (entry["image_id"], entry["sentence"], entry["first_word"])
        if [type(part) for part in phrase] != [str, int, int]:
            yield Scanned(place, None, "image_id is no string, or sentence or first_word no integer")
            continue
        if box is not None and not _is_box(box):
            fault = f"the box of the phrase {_shown(phrase)} is {box!r} instead of four numbers x1 < x2, y1 < y2"
        yield Scanned(place, phrase, fault)


def _is_box(box: Any) -> bool:
    if not (isinstance(box, list) and len(box) == 4):
        return False
    if any(type(side) not in (int, float) or not math.isfinite(side) for side in box):
        return False
    return box[0] < box[2] and box[1] < box[3]


LEADERBOARDS = {
    "vqa2": Leaderboard(
        "question",
        lambda entry: int(entry["question_id"]),
        _vqa2_ids,
        lambda entries: _json_text(entries, ("question_id", "answer")),
        _vqa2_scan,
    ),
    "nlvr2": Leaderboard("example", lambda entry: str(entry["identifier"]), _nlvr2_ids, _nlvr2_write, _nlvr2_scan),
    "vcr": Leaderboard("question", lambda entry: str(entry["annot_id"]), _vcr_ids, _vcr_write, _vcr_scan),
    "flickr30k": Leaderboard("phrase", _flickr30k_id, _flickr30k_ids, _flickr30k_write, _flickr30k_scan),
}
