"""The leaderboard file of VQA 2.0 (EvalAI): `[{"question_id": 42, "answer": "yes"}, ...]`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mmf_visualbert.contracts import Entry, Leaderboard, Scanned
from mmf_visualbert.datasets.leaderboard_files import json_entries, json_text
from mmf_visualbert.errors import InputError
from mmf_visualbert.files.typed import records_of
from mmf_visualbert.tasks.vqa2.official import CONTENT, QUESTION

FIELDS = ("question_id", "answer")


def read_ids(annotations: Path) -> list[int]:
    """The ids that a file has to have, from the official annotations."""
    content = CONTENT.read(annotations)
    if content.questions is None:
        raise InputError(f"{annotations} is no questions json of VQA 2.0; name the official file")
    return [one.question_id for one in records_of(annotations, "questions", content.questions, QUESTION)]


def scan(path: Path) -> Iterator[Scanned]:
    """The entries of a file, with what is wrong with each."""
    for place, entry, fault in json_entries(path, FIELDS, exact=True):
        if entry is None:
            yield Scanned(place, None, fault)
            continue
        question, answer = entry["question_id"], entry["answer"]
        if not isinstance(question, int) or isinstance(question, bool):
            fault = f"the question_id {question!r} is no integer"
        elif not isinstance(answer, str) or answer in ("", "<unk>"):
            fault = f"the answer of question {question} is {answer!r}"
        yield Scanned(place, question if isinstance(question, int | str) else None, fault)


def write(entries: Iterable[Entry]) -> str:
    """Predictions as the text of a file."""
    return json_text(entries, FIELDS)


LEADERBOARD = Leaderboard(
    thing="question",
    annotations="VQA's questions json",
    id_of=lambda entry: int(entry["question_id"]),
    read_ids=read_ids,
    write=write,
    scan=scan,
)
