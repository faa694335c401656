"""On which answers a rationale is judged (Appendix B): the right one, a given one, each of the four, or a model's."""

from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vcr.predictions import (
    CONDITIONED_COLUMNS,
    RATIONALE_COLUMNS,
    best_answer,
    conditioned_columns,
    read_predictions,
)
from mmf_visualbert.tasks.vcr.records import CHOICES, VcrRecord

ALL = "all"


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
            InputError: where the predictions have no answer for it, or the right one is not known.
        """
        if self.is_gold:
            if record.answer_label is None:
                raise InputError(f"{record.where}: the right answer is not known; set answer_label for this split")
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
        return Condition(CONDITIONED_COLUMNS, fixed=tuple(range(CHOICES)))
    if setting is None:
        return Condition(RATIONALE_COLUMNS, is_gold=True)
    if str(setting) in map(str, range(CHOICES)):
        return Condition(conditioned_columns(int(setting)), fixed=(int(setting),))
    if not isinstance(setting, str):
        raise InputError(f"answer_label is {setting!r}; set it to 0, 1, 2, 3, 'all', a file of predictions or null")
    path = data_dir / setting
    predicted = {entry["annot_id"]: best_answer(entry, path) for entry in read_predictions(path)}
    return Condition(RATIONALE_COLUMNS, predicted=predicted, path=path)
