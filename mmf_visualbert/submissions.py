"""Leaderboard files: written from predictions, and checked before somebody uploads them.

What a task's file is, and where it goes, stands in `tasks/<task>/leaderboard.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmf_visualbert import catalog
from mmf_visualbert.contracts import Entry, Id, Leaderboard
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import require, writing


class Written(NamedTuple):
    """What `write` did: number of entries in the file, and of repeated predictions that it left out."""

    entries: int
    repeated: int


def check(task: str, path: Path, annotations: Path) -> int:
    """Checks a leaderboard file: every entry well formed, every example of the split there once, and nothing else.

    Args:
        task: one that has a leaderboard file.
        path: the file.
        annotations: the official file that `Leaderboard.annotations` names.

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
        task: one that has a leaderboard file.
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
    path, text = Path(path), _text(board, task, kept)
    with writing(path) as file:
        file.write(text.encode())
        if wanted is not None:
            _refuse(find_faults(board, Path(file.partial), wanted), task, path)
    return Written(len(kept), len(entries) - len(kept))


def _each_once(board: Leaderboard, task: str, entries: Sequence[Entry]) -> dict[Id, Entry]:
    kept: dict[Id, Entry] = {}
    for number, entry in enumerate(entries):
        try:
            kept.setdefault(board.id_of(entry), entry)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"prediction {number} is no {task} prediction ({type(error).__name__}: {error}); give the report of "
                f"mmf_predict on {catalog.task(task).dataset}"
            ) from None
    return kept


def _text(board: Leaderboard, task: str, kept: Mapping[Id, Entry]) -> str:
    try:
        return board.write(kept.values())
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"a prediction lacks what a {task} submission needs ({type(error).__name__}: {error}); give the report of "
            f"mmf_predict on {catalog.task(task).dataset}"
        ) from None


def leaderboard(task: str) -> Leaderboard:
    """The leaderboard file of a task.

    Raises:
        InputError: for a task that there is not, or that has none.
    """
    known = catalog.tasks().get(task)
    if known is None or known.leaderboard is None:
        what = "no task" if known is None else "no leaderboard file of the task"
        raise InputError(f"there is {what} '{task}'; name one of {', '.join(with_leaderboard())}")
    return known.leaderboard


def with_leaderboard() -> list[str]:
    """Names of the tasks that have a leaderboard file."""
    return [name for name, task in catalog.tasks().items() if task.leaderboard is not None]


def _shown(entry_id: Id) -> str:
    return " ".join(str(part) for part in entry_id) if isinstance(entry_id, tuple) else str(entry_id)
