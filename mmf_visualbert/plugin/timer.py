"""Measures a run of MMF from within, for `visualbert benchmark run`, which names the file in the environment."""

import atexit
import functools
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data.dataloader import _BaseDataLoaderIter

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.files import write_json

VARIABLE = "VISUALBERT_TIMER"


class Timer:
    """Seconds of each update, written as JSON when the process ends.

    An update's `wall` and `cpu` (of the process, all threads) reach from the end of the optimizer's step before to the
    end of its own. Of the wall time `loop` is until the next batch was asked for (meters, logs), `data` until it came,
    `model` until the step was made. The first update has none: `first_update` is how long it took from the start of
    the process. torch's hook and data loader are what both versions of MMF, and all their models, come past.

    Args:
        file: to write.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.first_update: float | None = None
        self.updates: list[dict[str, float]] = []
        self.before = (0.0, 0.0)
        self.asked = self.came = 0.0
        self.stop: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begins to listen, until `stop` is called or the process ends."""
        hook = register_optimizer_step_post_hook(self.ended)
        following = _BaseDataLoaderIter.__next__

        @functools.wraps(following)
        def timed(loader: Any) -> Any:
            self.asked = time.perf_counter()
            batch = following(loader)
            self.came = time.perf_counter()
            return batch

        def stop() -> None:
            hook.remove()
            replace(_BaseDataLoaderIter, __next__=following)

        replace(_BaseDataLoaderIter, __next__=timed)
        self.stop = stop

    def ended(self, *_: Any) -> None:
        """An optimizer's step has ended."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter(), time.process_time()
        if self.first_update is None:
            self.first_update = since_start()
        else:
            parts = {"loop": self.asked - self.before[0], "data": self.came - self.asked, "model": now[0] - self.came}
            self.updates.append({"wall": now[0] - self.before[0], "cpu": now[1] - self.before[1], **parts})
        self.before = now

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
