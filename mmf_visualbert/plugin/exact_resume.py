"""A training that goes on from its checkpoint ends as one that was never stopped, to the last bit."""

import functools
import random
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch

from mmf_visualbert.compat.distributed import rank
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.datasets.draws import seed_from
from mmf_visualbert.plugin import progress
from mmf_visualbert.plugin.configuration import MODEL
from mmf_visualbert.plugin.impossible_values import no_criterion
from mmf_visualbert.plugin.loaders import loaders_of, order_of

COUNTS = ("_load_counts_and_lr_scheduler", "_load_counts")  # main's, rc10's


def restore_progress(checkpoint: ModuleType) -> str | None:
    """`Checkpoint` (MMF rc10 and main) knows the update that a run goes on from, and not its place in the data. Stays.

    Weights of another run (`checkpoint.resume_pretrained`), and those of the best update at the end, bring none with
    them.
    """
    cls = checkpoint.Checkpoint
    name = next(name for name in COUNTS if name in vars(cls))
    load, load_counts = cls._load, vars(cls)[name]

    @functools.wraps(load)
    def load_noted(self: Any, file: str, force: bool = False, **options: Any) -> None:
        self._visualbert_goes_on = not force and not options.get("load_pretrained", False)
        load(self, file, force=force, **options)

    @functools.wraps(load_counts)
    def load_progress(self: Any, content: Mapping[str, Any]) -> None:
        load_counts(self, content)
        run = progress.of_this_run()
        if self.config.model == MODEL and self._visualbert_goes_on and run is not None:
            run.restore(content, self.trainer)

    replace(cls, _load=load_noted, **{name: load_progress})
    return "MMF would begin the epoch anew where a run goes on"


def remember_the_best(early_stopping: ModuleType) -> str | None:
    """`EarlyStopping` (MMF rc10 and main) forgets at a resume which update was the best, and counts from 0. Stays.

    It also notes which evaluation was judged last, so that one that a kill cut off is made again.
    """
    cls = early_stopping.EarlyStopping
    build, judge, initialise = cls.__init__, cls.__call__, cls.init_from_checkpoint

    @functools.wraps(build)
    def build_known(self: Any, model: Any, checkpoint_instance: Any, *args: Any, **options: Any) -> None:
        build(self, model, checkpoint_instance, *args, **options)
        checkpoint_instance._visualbert_stopping = self

    @functools.wraps(initialise)
    def remember(self: Any, content: Mapping[str, Any]) -> None:
        initialise(self, content)
        self.best_monitored_update = content.get("best_update", self.best_monitored_update)

    @functools.wraps(judge)
    def judge_noted(self: Any, update: int, iteration: int, meter: Any) -> bool:
        run = progress.of_this_run()
        if run is not None:
            run.evaluated = update
            require_criterion(self.early_stop_criteria, meter.meters)
        return judge(self, update, iteration, meter)

    replace(cls, __init__=build_known, init_from_checkpoint=remember, __call__=judge_noted)
    return "MMF would stop early from the wrong update on after a resume"


def require_criterion(name: str, given: Collection[str]) -> None:
    """Says what there is where an evaluation does not give what a run is judged by.

    Args:
        name: of the criterion, with MMF's `val/` before it.
        given: the names of losses and metrics.

    Raises:
        InputError: on the first process, which judges.
    """
    if rank() == 0 and name not in given:
        raise no_criterion(name.removeprefix("val/"), sorted(each.removeprefix("val/") for each in given))


def seed_each_update_of_release(base_trainer: ModuleType) -> str | None:
    """`BaseTrainer` (MMF rc10) draws dropout from a generator that begins anew at a resume. Stays with rc10."""
    cls = base_trainer.BaseTrainer
    forward_pass, train = vars(cls).get("_forward_pass"), vars(cls).get("train")
    if forward_pass is None:
        return None

    @functools.wraps(forward_pass)
    def forward_seeded(self: Any, batch: Any) -> Any:
        if self.model.training:
            begin_update(self)
        return forward_pass(self, batch)

    @functools.wraps(train)
    def train_on(self: Any) -> None:
        if evaluation_is_due(self):
            self.train_timer, self.snapshot_timer = base_trainer.Timer(), base_trainer.Timer()
            if self._try_full_validation(force=True):
                self.finalize()
                return
        train(self)

    replace(cls, _forward_pass=forward_seeded, train=train_on)
    return "MMF would draw other dropout after a resume, and leave out an evaluation that a kill cut off"


def seed_each_update_of_main(training_loop: ModuleType) -> str | None:
    """`TrainerTrainingLoopMixin` (MMF main) draws dropout from a generator that begins anew at a resume. Stays."""
    cls = training_loop.TrainerTrainingLoopMixin
    forward, run_epochs = cls._forward, cls.run_training_epoch

    @functools.wraps(forward)
    def forward_seeded(self: Any, batch: Any) -> Any:
        begin_update(self)
        return forward(self, batch)

    @functools.wraps(run_epochs)
    def run_on(self: Any) -> None:
        if evaluation_is_due(self):
            self.on_validation_start()
            report, meter = self.evaluation_loop("val")
            stop = self.early_stop_callback.on_validation_end(report=report, meter=meter)
            self.on_validation_end(report=report, meter=meter)
            if stop:
                return
        run_epochs(self)

    replace(cls, _forward=forward_seeded, run_training_epoch=run_on)
    return "MMF would draw other dropout after a resume, and leave out an evaluation that a kill cut off"


def begin_update(trainer: Any) -> None:
    """Counts the batch that is about to be trained on, and begins its random numbers by its number alone."""
    run = progress.of_this_run()
    if run is None or trainer.config.model != MODEL:
        return
    order = order_of(loaders_of(trainer.train_loader)[0])
    run.update = trainer.num_updates + 1
    if order is not None:
        run.samples = order.after(run.samples)
    seed = seed_from(run.seed, rank(), trainer.current_iteration)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def evaluation_is_due(trainer: Any) -> bool:
    """Whether the run goes on from an update whose evaluation was not finished."""
    run = progress.of_this_run()
    if run is None or run.resumed is None or "train" not in trainer.run_type:
        return False
    updates = trainer.num_updates
    return updates > 0 and updates % trainer.config.training.evaluation_interval == 0 and run.evaluated != updates
