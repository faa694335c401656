"""Measures a run of MMF from within, for `visualbert benchmark run`, which names the file in the environment."""

import atexit
import functools
import itertools
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data.dataloader import _BaseDataLoaderIter

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.files import write_json

VARIABLE = "VISUALBERT_TIMER"


Moment = float | torch.cuda.Event


def moment() -> Moment:
    """Now: on the clock, or where there is a GPU, when it has done what it was given until now."""
    if not torch.cuda.is_available():
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def seconds(begin: Moment, end: Moment) -> float:
    """From one moment to another; waits for the GPU."""
    if isinstance(begin, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
        end.synchronize()
        return begin.elapsed_time(end) / 1000
    return cast(float, end) - cast(float, begin)


class Moments(NamedTuple):
    """When an update's batch was asked for and came, when its step was made, and the CPU time of the process then."""

    asked: Moment
    came: Moment
    ended: Moment
    cpu: float


class Timer:
    """Seconds of each update, written as JSON when the process ends.

    An update's `wall` and `cpu` (of the process, all threads) reach from the end of the optimizer's step before to the
    end of its own. Of the wall time `loop` is until the next batch was asked for (meters, logs), `data` until it came,
    `model` until the step was made. The first update has none: `first_update` is how long it took from the start of
    the process. torch's hook and data loader are what both versions of MMF, and all their models, come past.

    On a GPU all but `cpu` are its own times, asked for at the end, so that no update waits for the measurement: `data`
    and `loop` are how long the GPU had nothing to do meanwhile.

    Args:
        file: to write.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.first_update: float | None = None
        self.moments: list[Moments] = []
        self.asked = self.came = moment()
        self.stop: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begins to listen, until `stop` is called or the process ends."""
        hook = register_optimizer_step_post_hook(self.ended)
        following = _BaseDataLoaderIter.__next__

        @functools.wraps(following)
        def timed(loader: Any) -> Any:
            self.asked = moment()
            batch = following(loader)
            self.came = moment()
            return batch

        def stop() -> None:
            hook.remove()
            replace(_BaseDataLoaderIter, __next__=following)

        replace(_BaseDataLoaderIter, __next__=timed)
        self.stop = stop

    def ended(self, *_: Any) -> None:
        """An optimizer's step has ended."""
        if self.first_update is None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.first_update = since_start()
        self.moments.append(Moments(self.asked, self.came, moment(), time.process_time()))

    @property
    def updates(self) -> list[dict[str, float]]:
        """The figures of each update but the first."""
        return [
            {
                "wall": seconds(before.ended, update.ended),
                "cpu": update.cpu - before.cpu,
                "loop": seconds(before.ended, update.asked),
                "data": seconds(update.asked, update.came),
                "model": seconds(update.came, update.ended),
            }
            for before, update in itertools.pairwise(self.moments)
        ]

    def write(self) -> None:
        """Writes the figures."""
        figures = {"first_update": self.first_update, "updates": self.updates, "peak_mib": peak_mib()}
        write_json(self.file, {**figures, "torch": torch.__version__, "threads": torch.get_num_threads()})


def start_if_asked() -> None:
    """Starts a timer where the environment names its file."""
    if os.environ.get(VARIABLE):
        timer = Timer(Path(os.environ[VARIABLE]))
        timer.start()
        atexit.register(timer.write)


def since_start() -> float:
    """Seconds since this process was started, to a hundredth."""
    started = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def peak_mib() -> float:
    """Most memory the process has used: of the GPU where there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
