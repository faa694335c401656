"""`metrics.jsonl` in the folder of every run: what MMF's log says, as numbers.

A line of the file is one report: of the training at every `log_interval`, or of a whole evaluation.
"""

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from mmf_visualbert.compat.distributed import rank
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_text
from mmf_visualbert.files.writing import failure
from mmf_visualbert.places import METRICS
from mmf_visualbert.plugin import progress
from mmf_visualbert.plugin.configuration import MODEL
from mmf_visualbert.plugin.loggers import send

logger = logging.getLogger(__name__)


_written: dict[Path, Any] = {}  # the configuration for which a file was opened in this process


def write_metrics_of_release(base_trainer: ModuleType) -> str | None:
    """`BaseTrainer` (MMF rc10) writes its numbers into a log for people and into tensorboard. Stays with rc10."""
    cls = base_trainer.BaseTrainer
    summarize = vars(cls).get("_summarize_report")
    if summarize is None:
        return None

    @functools.wraps(summarize)
    def summarize_and_write(self: Any, meter: Any, *rest: Any, **options: Any) -> None:
        summarize(self, meter, *rest, **options)
        report(self, meter)

    replace(cls, _summarize_report=summarize_and_write)
    return "MMF would write its numbers only into a log for people and into tensorboard"


def write_metrics_of_main(logistics: ModuleType) -> str | None:
    """`LogisticsCallback` (MMF main) does the same. Stays."""
    cls = logistics.LogisticsCallback
    for name in ("on_update_end", "on_validation_end", "on_test_end"):
        replace(cls, **{name: and_report(vars(cls)[name])})
    return "MMF would write its numbers only into a log for people and into tensorboard"


def and_report(summarize: Callable[..., None]) -> Callable[..., None]:
    """A method of MMF's callback, after which its meter is reported."""

    @functools.wraps(summarize)
    def summarize_and_write(self: Any, **facts: Any) -> None:
        summarize(self, **facts)
        if facts.get("should_log", True):
            report(self.trainer, facts["meter"])

    return summarize_and_write


def report(trainer: Any, meter: Any) -> None:
    """Writes a report's numbers, from the first process of a run of our model.

    Args:
        trainer: MMF's.
        meter: MMF's; of a training its latest values are written, of an evaluation those of the whole.
    """
    config = trainer.config
    values = {name: value_of(name, each) for name, each in meter.meters.items()}
    if config.model != MODEL or rank() != 0 or not values:
        return
    update = int(trainer.num_updates or 0)
    run = progress.of_this_run() if "train" in config.run_type else None
    row: dict[str, Any] = {"run": run and run.run, "update": update, "split": next(iter(values)).partition("/")[0]}
    if run is not None:
        row |= {"epoch": run.epoch, "lr": float(trainer.optimizer.param_groups[0]["lr"])}
    append(Path(config.env.save_dir) / METRICS, row | values, config, run.began if run else None)
    send(config, row["run"], values | ({"lr": row["lr"]} if run else {}), update)


def value_of(name: str, meter: Any) -> float:
    """The number of a meter."""
    return float(meter.get_latest() if name.startswith("train/") else meter.global_avg)


def append(path: Path, row: Mapping[str, Any], config: Any, began: int | None = None) -> None:
    """Adds a line. The first time in a process, lines of other trainings and of updates that are made again go.

    Args:
        path: the file.
        row: of a report; numbers that are none are written as null.
        config: of the run.
        began: the update after which this process goes on with the training; None for an evaluation alone, which
            leaves all lines but its own of before.
    """
    line = json.dumps({key: finite(value) for key, value in row.items()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _written.get(path) is not config:
            kept = [each for each, there in lines_of(path) if each != line and stays(there, row, began)]
            write_text(path, "".join(f"{each}\n" for each in kept))
            _written[path] = config
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    except (OSError, InputError) as error:  # as for the lines of a log: said, and the run goes on
        if _written.get(path) is not config:
            reason = failure(path, error) if isinstance(error, OSError) else error
            logger.warning(f"{reason}; numbers are missing from it")
        _written[path] = config


def lines_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a file with what they say, without one that was cut off."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            there = json.loads(line)
            if isinstance(there, dict):
                yield line, there


def stays(there: Mapping[str, Any], row: Mapping[str, Any], began: int | None) -> bool:
    """Whether a line stays where a process begins to write, with `row`."""
    place = ("run", "update", "split")
    if began is None:
        return [there.get(name) for name in place] != [row[name] for name in place]
    return there.get("run") == row["run"] and isinstance(there.get("update"), int) and there["update"] <= began


def finite(value: Any) -> Any:
    """JSON has no number that is none."""
    return None if isinstance(value, float) and value - value != 0 else value
