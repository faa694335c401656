"""What lies in the folder of a run, or of a chain of `visualbert reproduce`."""

import hashlib
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_lines
from mmf_visualbert.places import FINAL
from mmf_visualbert.reproduce.results import Point, final_metrics, read_scalars

CHECKPOINTS = ("best.ckpt", "current.ckpt", FINAL)


class RunFolder(NamedTuple):
    """One run.

    Attributes:
        name: of its folder.
        checkpoint: the best, or what there is.
        command: by which it was started; None where nothing says so.
        seconds: it took; None where nothing says so.
        metrics: its last values on val, by registered name.
        scalars: its curves, by tag.
        warnings: what its log warns of, each once.
    """

    name: str
    checkpoint: Path
    command: str | None
    seconds: float | None
    metrics: dict[str, float]
    scalars: dict[str, list[Point]]
    warnings: list[str]


class Chain(NamedTuple):
    """A folder of `visualbert reproduce`: what it is of, and its runs in order. A lone run is of nothing."""

    result: dict[str, Any]
    runs: list[RunFolder]


def read_folder(folder: Path) -> Chain:
    """The runs of a folder.

    Raises:
        InputError: where there is neither a checkpoint nor a chain's result.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name a run's save folder, or a chain's of visualbert reproduce")
    if not (folder / "result.json").is_file():
        return Chain({}, [read_run(folder)])
    result = read_json(folder / "result.json")
    phases = result.get("phases") if isinstance(result, dict) else None
    if not isinstance(phases, dict) or not phases:
        raise InputError(f"{folder / 'result.json'} is no result of visualbert reproduce; name another folder")
    return Chain(result, [read_run(folder / name) for name in phases])


def read_run(folder: Path) -> RunFolder:
    """One run.

    Raises:
        InputError: where there is no checkpoint.
    """
    checkpoint = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)
    if checkpoint is None:
        raise InputError(f"{folder} has no checkpoint ({', '.join(CHECKPOINTS)}); name a run's save folder")
    record = read_json(folder / "finished.json") if (folder / "finished.json").is_file() else {}
    arguments = record.get("arguments")
    try:
        scalars = read_scalars(folder)
        metrics = record.get("metrics") or final_metrics(folder)
    except InputError:  # no log: the page says that there are no curves
        scalars, metrics = {}, record.get("metrics") or {}
    return RunFolder(
        name=folder.resolve().name,
        checkpoint=checkpoint,
        command=shlex.join(["mmf_run", *map(str, arguments)]) if arguments else None,
        seconds=record.get("seconds"),
        metrics=metrics,
        scalars=scalars,
        warnings=warnings_of(folder),
    )


def warnings_of(folder: Path, most: int = 20) -> list[str]:
    """What we warn of in a run's log, each once."""
    log = folder / "train.log"
    if not log.is_file():
        return []
    said: dict[str, None] = {}
    for line in read_lines(log):
        _, level, rest = [*line.split(" | ", 2), "", ""][:3]
        name, _, text = rest.partition(" : ")
        if level == "WARNING" and name.startswith("mmf_visualbert"):
            said[text.strip()] = None
    return list(said)[:most]


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
