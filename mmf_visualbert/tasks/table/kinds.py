"""What a label of a table is: a name, several names, a number, answers, boxes, the right one of some choices."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.errors import InputError


class Kind(NamedTuple):
    """A kind of table.

    Attributes:
        name: as `kind` in the configuration.
        read_label: (cell, where) -> the label as it is kept; None where the cell is empty. Raises InputError.
        names: the names that labels stand for, learnt from train's labels; None for kinds without names.
        target: (label, names) -> the tensor that losses and metrics read. Raises KeyError for an unknown name. None for
            kinds whose targets are more than one tensor.
        has_choices: whether a row has a list of second texts.
        has_label: whether a row has a label at all.
    """

    name: str
    read_label: Callable[[Any, str], Any]
    names: Callable[[Iterable[Any]], list[str]] | None = None
    target: Callable[[Any, dict[str, int]], Tensor] | None = None
    has_choices: bool = False
    has_label: bool = True

    @property
    def one_name(self) -> bool:
        """Whether a row's label is one name."""
        return self.read_label is read_name


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def read_name(cell: Any, where: str) -> str | None:
    """A label: a text, a whole number or true / false, kept as text."""
    if _is_empty(cell):
        return None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, str | int):
        return str(cell).strip()
    raise InputError(f"{where}: the label is {cell!r}; write a name or a whole number")


def read_names(cell: Any, where: str) -> list[str] | None:
    """Several labels: a list, or a text with `|` between them; an empty list is none of them."""
    if cell is None:
        return None
    if isinstance(cell, str):
        cell = _json_list(cell, where) if cell.startswith("[") else [part for part in cell.split("|") if part.strip()]
    if not isinstance(cell, list):
        raise InputError(f"{where}: the labels are {cell!r}; write a list of names, or names with | between them")
    names = [read_name(each, where) for each in cell]
    if None in names or len(set(names)) != len(names):
        raise InputError(f"{where}: the labels are {cell!r}; write each name once")
    return [name for name in names if name is not None]


def read_number(cell: Any, where: str) -> float | None:
    """A finite number."""
    if _is_empty(cell):
        return None
    try:
        value = float(cell) if isinstance(cell, str | int | float) and not isinstance(cell, bool) else float("nan")
    except ValueError:
        value = float("nan")
    if not math.isfinite(value):
        raise InputError(f"{where}: the label is {cell!r}; write a finite number")
    return value


def read_place(cell: Any, where: str) -> int | None:
    """The place of the right choice, from 0."""
    value = read_number(cell, where)
    if value is None:
        return None
    if value != int(value) or value < 0:
        raise InputError(f"{where}: the right choice is {cell!r}; write its place, from 0")
    return int(value)


def read_answers(cell: Any, where: str) -> list[str] | None:
    """One answer or a list of any length: texts, numbers, objects with an `answer` (as VQA's), or texts with `|`."""
    if _is_empty(cell):
        return None
    if isinstance(cell, str):
        cell = _json_list(cell, where) if cell.lstrip().startswith("[") else cell.split("|")
    given = cell if isinstance(cell, list) else [cell]
    answers = [each.get("answer") if isinstance(each, dict) else each for each in given]
    if not answers or not all(isinstance(each, str | int | float) and str(each).strip() for each in answers):
        raise InputError(f"{where}: the answers are {cell!r}; write an answer, or a list of them")
    return [str(each).lower() if isinstance(each, bool) else str(each).strip() for each in answers]


def read_boxes(cell: Any, where: str) -> list[list[list[float]]] | None:
    """For each phrase its boxes, four numbers each. A phrase's one box may stand for a list of them, and the box or the
    boxes of the only phrase for the whole."""
    if _is_empty(cell):
        return None
    found = _json_list(cell, where) if isinstance(cell, str) else cell
    if _is_four_numbers(found):
        return [[found]]
    if isinstance(found, list) and found:
        phrases = [[each] if _is_four_numbers(each) else each for each in found]
        if all(isinstance(boxes, list) and boxes and all(map(_is_four_numbers, boxes)) for boxes in phrases):
            return phrases
    raise InputError(f"{where}: the boxes are {cell!r}; write four numbers for each phrase, or a list of such boxes")


def _is_four_numbers(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(n) in (int, float) and math.isfinite(n) for n in box)


def _json_list(cell: str, where: str) -> Any:
    try:
        return json.loads(cell)
    except json.JSONDecodeError:
        raise InputError(f"{where}: {cell!r} begins like a json list and is none; correct it") from None


def read_nothing(cell: Any, where: str) -> None:
    """A pair of a text and an image has no label: that they stand in one row is all."""


def in_order(labels: Iterable[Any]) -> list[str]:
    """Names in the order of the alphabet, numbers in their own."""
    names = {label for label in labels if label is not None}
    return sorted(names, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))


def of_lists(labels: Iterable[Any]) -> list[str]:
    """As `in_order`, of labels that are lists."""
    return in_order(Counter(name for label in labels if label is not None for name in label))


def _one(label: str, places: dict[str, int]) -> Tensor:
    return torch.tensor(places[label])


def _several(label: Sequence[str], places: dict[str, int]) -> Tensor:
    target = torch.zeros(len(places))
    target[[places[name] for name in label]] = 1.0
    return target


def _number(label: float, places: dict[str, int]) -> Tensor:
    return torch.tensor(label, dtype=torch.float32)


def _place(label: int, places: dict[str, int]) -> Tensor:
    return torch.tensor(label)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("classification", read_name, in_order, _one),
        Kind("binary", read_name, in_order, _one),
        Kind("multilabel", read_names, of_lists, _several),
        Kind("regression", read_number, None, _number),
        Kind("choice", read_place, None, _place, has_choices=True),
        Kind("answers", read_answers),
        Kind("phrases", read_boxes),
        Kind("retrieval", read_nothing, has_label=False),
    )
}


def kind_of(name: str) -> Kind:
    """The kind of this name.

    Raises:
        InputError: where there is none.
    """
    if name not in KINDS:
        raise InputError(f"kind is '{name}'; set it to one of {', '.join(KINDS)}")
    return KINDS[name]
