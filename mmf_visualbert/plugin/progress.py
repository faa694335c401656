"""How far a training has come, where MMF's checkpoints do not say it: with it a run goes on as if never stopped."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SECTION = "visualbert"  # of a checkpoint
KEPT = ("datasets", "seed", "run", "epoch", "samples", "evaluated", "skipped")
_NAME = "visualbert_progress"


@dataclass
class Progress:
    """The place of a run in its data.

    Attributes:
        datasets: of the run, as its configuration names them.
        seed: of order and draws, for the whole run however often it is stopped.
        run: of this run alone, so that checkpoints of an earlier one in the same folder are known.
        epoch: the one begun last, from 1; whatever the number of processes.
        samples: how many of its samples were trained on, of all processes together.
        evaluated: the update after which the last evaluation was judged.
        skipped: samples without a loss that is a number, which were passed over.
        began: the update after which this process goes on with the run.
        resumed: MMF's trainer, where the epoch was begun before this process, until it begins again.
        update: the one that is being made, from 1.
        passes_over: whether it is made without a step.
        looks: at losses of it, that are put off until its step.
    """

    datasets: str
    seed: int
    run: str = field(default_factory=lambda: os.urandom(8).hex())
    epoch: int = 0
    samples: int = 0
    evaluated: int = 0
    skipped: int = 0
    began: int = 0
    resumed: Any = None
    update: int = 0
    passes_over: bool = False
    looks: list[Callable[[], None]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, in plain values."""
        return {name: getattr(self, name) for name in KEPT}

    def restore(self, checkpoint: Mapping[str, Any], trainer: Any) -> None:
        """Takes over what a checkpoint kept, unless it was of other data; those of release 0.1.0 kept nothing."""
        state = checkpoint.get(SECTION)
        if not isinstance(state, Mapping) or state.get("datasets") != self.datasets:
            return
        for name in KEPT:
            setattr(self, name, state.get(name, getattr(self, name)))
        self.resumed = trainer
        self.began = int(checkpoint.get("num_updates") or 0)

    def begin_epoch(self) -> None:
        """Goes to the next epoch, or, the first time after a checkpoint, to the rest of its own."""
        if self.resumed is None:
            self.epoch, self.samples = self.epoch + 1, 0
            return
        self.resumed.current_epoch -= 1  # MMF has just counted it again
        registry().register("current_epoch", self.resumed.current_epoch)
        self.resumed = None


def registry() -> Any:
    """MMF's. Not imported above: MMF imports what our repairs accompany while it makes it."""
    from mmf.common.registry import registry

    return registry


def of_this_run() -> Progress | None:
    """The progress of the run that MMF's registry holds; None before its data are loaded."""
    config, progress = registry().get(_NAME, (None, None), no_warning=True)
    return progress if config is registry().get("config") else None


def begin(datasets: str, seed: int) -> Progress:
    """The progress of a run that begins. It lives in MMF's registry beside the configuration, and as long."""
    progress = Progress(datasets, seed)
    registry().register(_NAME, (registry().get("config"), progress))
    return progress
