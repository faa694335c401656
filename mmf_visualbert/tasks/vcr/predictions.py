"""Prediction files of VCR's two models, and what is made of both together: Q→AR and the leaderboard's rows (§4.2)."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_rows
from mmf_visualbert.files.typed import Schema
from mmf_visualbert.tasks.vcr.metrics import JointAccuracy, joint_accuracy
from mmf_visualbert.tasks.vcr.records import CHOICES, VcrAnnotations

ENTRIES: Schema[list[dict[str, Any]]] = Schema(list[dict[str, Any]], "predict with mmf_predict")
ANSWER_COLUMNS = tuple(f"answer_{choice}" for choice in range(CHOICES))
RATIONALE_COLUMNS = tuple(f"rationale_{choice}" for choice in range(CHOICES))


def conditioned_columns(answer: int) -> tuple[str, ...]:
    """The leaderboard's columns of the rationales given one answer."""
    return tuple(f"rationale_conditioned_on_a{answer}_{choice}" for choice in range(CHOICES))


CONDITIONED_COLUMNS = tuple(column for answer in range(CHOICES) for column in conditioned_columns(answer))


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Entries of a prediction file, JSON or csv: `annot_id` and scores by column.

    Raises:
        InputError: for a missing file, or one without annot_id.
    """
    if path.suffix == ".csv":
        rows = [row for _, row in read_rows(path) if row]
        entries: list[dict[str, Any]] = [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]
    else:
        entries = ENTRIES.read(path)
    if not entries or not all(isinstance(entry.get("annot_id"), str) for entry in entries):
        raise InputError(
            f"{path} holds no VCR predictions: entries with annot_id are missing; predict with mmf_predict"
        )
    return entries


def scores_of(entry: Mapping[str, Any], columns: Sequence[str], path: Path) -> list[float]:
    """The scores of an entry in these columns.

    Raises:
        InputError: where one is missing or no finite number.
    """
    try:
        scores = [float(entry[column]) for column in columns]
        if not all(map(math.isfinite, scores)):
            raise ValueError("a score is no finite number")
        return scores
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(
            f"{path}: the prediction of {entry['annot_id']} has no score in one of {columns[0]} to {columns[-1]}; "
            "predict with the model of that subtask, rationales with answer_label: all"
        ) from None


def best_answer(entry: Mapping[str, Any], path: Path) -> int:
    """Index of the answer with the highest score."""
    scores = scores_of(entry, ANSWER_COLUMNS, path)
    return scores.index(max(scores))


def merge_predictions(answers: Path, rationales: Path) -> list[dict[str, Any]]:
    """Predictions of both models as the leaderboard wants them.

    Args:
        answers: file of a Q→A model.
        rationales: file of a QA→R model, conditioned on each of the four answers.

    Returns:
        For each question of `answers`: `annot_id`, `answer` (4 scores) and `rationale` (4 x 4 scores; the first index
        is the answer that they are conditioned on).

    Raises:
        InputError: where a question is in one file only, or scores are missing.
    """
    given = {entry["annot_id"]: entry for entry in read_predictions(rationales)}
    merged: dict[str, dict[str, Any]] = {}
    for entry in read_predictions(answers):
        name = entry["annot_id"]
        if name not in given:
            raise InputError(f"{rationales} has no prediction of {name}, which {answers} has; predict the same split")
        rows = [scores_of(given[name], conditioned_columns(answer), rationales) for answer in range(CHOICES)]
        answer = scores_of(entry, ANSWER_COLUMNS, answers)
        merged.setdefault(name, {"annot_id": name, "answer": answer, "rationale": rows})
    extra = next((name for name in given if name not in merged), None)
    if extra is not None:
        raise InputError(f"{answers} has no prediction of {extra}, which {rationales} has; predict the same split")
    return list(merged.values())


def accuracy_of(merged: Sequence[Mapping[str, Any]], annotations: Path) -> JointAccuracy | None:
    """Q→A, QA→R and Q→AR of merged predictions; None where the annotations have no labels.

    Raises:
        InputError: where the predictions lack a record.
    """
    by_name = {entry["annot_id"]: entry for entry in merged}
    answers, rationales, answer_labels, rationale_labels = [], [], [], []
    for record in VcrAnnotations([annotations], labels_required=False):
        if record.answer_label is None or record.rationale_label is None:
            return None
        if record.annot_id not in by_name:
            raise InputError(f"{record.where}: there is no prediction of it; predict the whole split")
        entry = by_name[record.annot_id]
        answers.append(entry["answer"])
        rationales.append(entry["rationale"][record.answer_label])
        answer_labels.append(record.answer_label)
        rationale_labels.append(record.rationale_label)
    return joint_accuracy(answers, rationales, answer_labels, rationale_labels)
