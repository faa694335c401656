"""What a finished run of MMF measured, from its tensorboard log, and the row beside the paper's."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.reproduce.plan import Plan


class Point(NamedTuple):
    """One logged number: the iteration, the time in seconds since 1970, and the value."""

    step: int
    time: float
    value: float


def read_scalars(folder: Path) -> dict[str, list[Point]]:
    """All scalars logged below `folder`, by tag, in the order of time.

    Raises:
        InputError: where there is no tensorboard log.
    """
    logs = sorted({file.parent for file in folder.rglob("events.out.tfevents.*")})
    if not logs:
        raise InputError(f"{folder} holds no tensorboard log; run the phase with training.tensorboard=true")
    scalars: dict[str, list[Point]] = {}
    for log in logs:
        events = EventAccumulator(str(log), size_guidance={"scalars": 0})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            scalars.setdefault(tag, []).extend(Point(e.step, e.wall_time, e.value) for e in events.Scalars(tag))
    for points in scalars.values():
        points.sort(key=lambda point: point.time)
    return scalars


def final_metrics(folder: Path, split: str = "val", since: float = 0.0) -> dict[str, float]:
    """The last value of each metric on `split`: after training MMF restores the best checkpoint and evaluates it.

    Args:
        folder: of a run, with its tensorboard logs.
        split: as MMF calls it.
        since: seconds since 1970; metrics that were not logged after it are those of an earlier run in this folder.

    Raises:
        InputError: where there is no log, or no such metric in it.
    """
    found = {}
    for tag, points in read_scalars(folder).items():
        parts = tag.split("/")
        if len(parts) == 3 and parts[0] == split and points[-1].time >= since:
            found[parts[2]] = points[-1].value
    if not found:
        raise InputError(f"the log in {folder} has no metric of the split '{split}'; run it with run_type train_val")
    return found


def table(plan: Plan, metrics: Mapping[str, float]) -> str:
    """Our row beside the paper's, as text."""
    task = catalog.task(plan.task)
    row = task.rows[plan.variant]
    columns = [column for column in task.columns if column.metric in metrics]
    ours = {column.title: 100 * metrics[column.metric] for column in columns}
    titles = list(dict.fromkeys([*ours, *row.values]))
    width = max(12, *(len(title) + 2 for title in titles))
    label = f"{row.label} ({row.table})"
    lines = [
        " " * 34 + "".join(f"{title:>{width}}" for title in titles),
        f"{plan.variant + ', ' + plan.scale + ' scale':<34}" + "".join(_cell(ours.get(t), width) for t in titles),
        f"{label[:33]:<34}" + "".join(_cell(row.values.get(t), width) for t in titles),
    ]
    if plan.scale != "paper":
        lines.append("The sample world is not the paper's data: only the order of variants can be compared.")
    return "\n".join(lines)


def _cell(value: float | None, width: int) -> str:
    return f"{'-' if value is None else f'{value:.2f}':>{width}}"
