"""On which answers a rationale is judged (Appendix B): the right one, a given one, each of the four, or a model's."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert.datasets.files import read_json, require
from mmf_visualbert.datasets.vcr_records import CHOICES, VcrRecord
from mmf_visualbert.errors import InputError

ALL = "all"
ANSWER_COLUMNS = tuple(f"answer_{choice}" for choice in range(CHOICES))
RATIONALE_COLUMNS = tuple(f"rationale_{choice}" for choice in range(CHOICES))


def conditioned_columns(answer: int) -> tuple[str, ...]:
    """Leaderboard columns of the rationales given one answer."""
    return tuple(f"rationale_conditioned_on_a{answer}_{choice}" for choice in range(CHOICES))


class Condition(NamedTuple):
    """The answers that the rationales of a record are conditioned on.

    Attributes:
        columns: names of the scores.
        is_gold: whether it is the right answer, so that the rationale's label is the target.
        fixed: the same answers for every record.
        predicted: annot_id -> answer, of the file at `path`.
        path: where `predicted` comes from.
    """

    columns: tuple[str, ...]
    is_gold: bool = False
    fixed: tuple[int, ...] = ()
    predicted: dict[str, int] | None = None
    path: Path | None = None

    def answers(self, record: VcrRecord) -> tuple[int, ...]:
        """Indices of a record's answers that are conditioned on.

        Raises:
            InputError: where the predictions have no answer for it.
        """
        if self.is_gold:
            return (record.answer_label,)
        if self.predicted is None:
            return self.fixed
        if record.annot_id not in self.predicted:
            raise InputError(f"{record.where}: {self.path} has no answer for it; predict the answers of the same split")
        return (self.predicted[record.annot_id],)


def answer_condition(setting: Any, labelled: bool, data_dir: Path = Path()) -> Condition:
    """The condition that a setting of `answer_label` asks for.

    Args:
        setting: None: the right answer, or, where records have no labels, each of the four in turn. 0 to 3: this
            answer. `all`: each of the four. A path: the best answers of a Q→A model's predictions, JSON or csv.
        labelled: whether the records have labels.
        data_dir: what a relative path is below.

    Raises:
        InputError: for another setting, or a file that is missing or holds no such predictions.
    """
    if setting == ALL or (setting is None and not labelled):
        columns = tuple(column for answer in range(CHOICES) for column in conditioned_columns(answer))
        return Condition(columns, fixed=tuple(range(CHOICES)))
    if setting is None:
        return Condition(RATIONALE_COLUMNS, is_gold=True)
    if str(setting) in map(str, range(CHOICES)):
        return Condition(conditioned_columns(int(setting)), fixed=(int(setting),))
    if not isinstance(setting, str):
        raise InputError(f"answer_label is {setting!r}; set it to 0, 1, 2, 3, 'all', a file of predictions or null")
    path = data_dir / setting
    predicted = {entry["annot_id"]: best_answer(entry, path) for entry in read_predictions(path)}
    return Condition(RATIONALE_COLUMNS, predicted=predicted, path=path)


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Entries of a prediction file, JSON or csv: `annot_id` and scores by column.

    Raises:
        InputError: for a missing file, or one without annot_id.
    """
    if path.suffix == ".csv":
        with require(path).open(newline="", encoding="utf-8") as file:
            entries = list(csv.DictReader(file))
    else:
        entries = read_json(path)
    if not isinstance(entries, list) or not entries or any("annot_id" not in entry for entry in entries):
        raise InputError(
            f"{path} holds no VCR predictions: entries with annot_id are missing; predict with mmf_predict"
        )
    return entries


def scores_of(entry: Mapping[str, Any], columns: Sequence[str], path: Path) -> list[float]:
    """The scores of an entry in these columns.

    Raises:
        InputError: where one is missing or no number.
    """
    try:
        return [float(entry[column]) for column in columns]
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}: the prediction of {entry['annot_id']} has no score in one of {columns[0]} to {columns[-1]}; "
            "predict with the model of that subtask"
        ) from None


def best_answer(entry: Mapping[str, Any], path: Path) -> int:
    """Index of the answer with the highest score."""
    scores = scores_of(entry, ANSWER_COLUMNS, path)
    return scores.index(max(scores))
