"""A run that is taken off its machine saves a checkpoint and ends with a code that schedulers requeue on.

SIGTERM and SIGUSR1 are noted, and looked at after each update and at each batch of an evaluation, by all processes
together. The next start, with checkpoint.resume=true, ends as a run that was never stopped.
"""

import contextlib
import functools
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import distributed as dist

from mmf_visualbert.compat.distributed import rank, world_size
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.plugin.configuration import MODEL

logger = logging.getLogger(__name__)
REQUEUE = 75  # EX_TEMPFAIL: try again later
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Training(NamedTuple):
    """MMF's trainer and its checkpoints, while a run trains in this process."""

    trainer: Any
    checkpoint: Any


_noted: list[signal.Signals] = []
_training: list[Training] = []  # at most one
_has_run: list[bool] = []  # whether this process itself trains or evaluates, and has not started others for it


def note_training(checkpoint: ModuleType) -> str | None:
    """`Checkpoint` (MMF rc10 and main) is where a trainer and its checkpoints come together. Stays."""
    cls = checkpoint.Checkpoint
    initialise, restore = cls.__init__, cls.restore

    @functools.wraps(initialise)
    def note(self: Any, trainer: Any) -> None:
        initialise(self, trainer)
        ours = trainer.config.model == MODEL and "train" in trainer.config.run_type
        _has_run[:] = [True]
        _training[:] = [Training(trainer, self)] if ours else []

    @functools.wraps(restore)
    def restore_the_best(self: Any) -> None:
        _training.clear()  # from now on the weights are no longer those of the last update
        restore(self)

    replace(cls, __init__=note, restore=restore_the_best)
    return "MMF would lose all since the last checkpoint where a run is taken off its machine"


def look_after_each_update_of_release(base_trainer: ModuleType) -> str | None:
    """`BaseTrainer` (MMF rc10) takes no notice of signals. Stays with rc10."""
    cls = base_trainer.BaseTrainer
    logistics = vars(cls).get("_logistics")
    if logistics is None:
        return None

    @functools.wraps(logistics)
    def look_first(self: Any, report: Any) -> bool:
        stop_if_asked()
        return logistics(self, report)

    replace(cls, _logistics=look_first)
    return "MMF would take no notice of a scheduler's signals"


def look_after_each_update_of_main(callback_hook: ModuleType) -> str | None:
    """`TrainerCallbackHookMixin` (MMF main) takes no notice of signals. Stays."""
    cls = callback_hook.TrainerCallbackHookMixin
    on_update_end = cls.on_update_end

    @functools.wraps(on_update_end)
    def look(self: Any, **facts: Any) -> None:
        on_update_end(self, **facts)  # which also sets the next learning rate
        stop_if_asked()

    replace(cls, on_update_end=look)
    return "MMF would take no notice of a scheduler's signals"


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Within it a signal ends this process as is said above."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    for state in (_noted, _training, _has_run):
        state.clear()
    before = {each: signal.signal(each, functools.partial(note_signal, os.getpid())) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def note_signal(own: int, number: int, frame: Any) -> None:
    """What a signal does: it is noted while a run trains, handed on to the processes of a run, and else ends this one.

    Args:
        own: the process that listens; one that it has forked does not.
        number: of the signal.
        frame: where it came.
    """
    if os.getpid() != own:
        return
    if _training:
        _noted.append(signal.Signals(number))
        return
    others = [] if _has_run else multiprocessing.active_children()
    for child in others:  # the processes of a run that MMF itself has started on several devices
        os.kill(child.pid or own, number)
    if not others:
        sys.stderr.write(f"mmf_visualbert: stopped by {signal.Signals(number).name}; start it again\n")
        sys.exit(REQUEUE)


def stop_if_asked() -> None:
    """Ends the run where one of its processes was sent a signal. All of them call this at the same places.

    Raises:
        SystemExit: with `REQUEUE`, after a checkpoint was saved.
    """
    if not _training:
        return
    asked = torch.tensor([float(bool(_noted))])
    if world_size() > 1:
        asked = asked.cuda() if dist.get_backend() == "nccl" else asked
        dist.all_reduce(asked)
    if not bool(asked.item()):
        return
    training = _training[0]
    update = training.trainer.num_updates
    training.checkpoint.save(update, training.trainer.current_iteration, update_best=False)
    _training.clear()
    if world_size() > 1:
        dist.barrier()  # the first process has saved
    if rank() == 0:
        name = _noted[0].name if _noted else "a signal"
        sys.stderr.write(
            f"mmf_visualbert: stopped by {name} after update {update}; go on with checkpoint.resume=true\n"
        )
    sys.exit(REQUEUE)
