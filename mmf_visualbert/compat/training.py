"""Faults of MMF's training loop."""

import functools
import re
import warnings
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat.probes import mentions, source, text_of
from mmf_visualbert.compat.replace import replace

MAKES_A_TUPLE = re.compile(r'\["persistent_workers"\] = \([^=]*\), \)')


def leave_anomaly_detection_off(base_trainer: ModuleType) -> str | None:
    """`BaseTrainer.train` (MMF rc10) turns autograd's anomaly detection on, which slows each step down.

    It is turned off again before the first step. Can go with rc10.
    """
    trainer = base_trainer.BaseTrainer
    if not mentions(trainer.train, "set_detect_anomaly") or mentions(trainer.train, "detect_anomaly"):
        return None
    forward_pass = trainer._forward_pass

    @functools.wraps(forward_pass)
    def without_anomaly_detection(self: Any, batch: Any) -> Any:
        if torch.is_anomaly_enabled():
            torch.autograd.set_detect_anomaly(False)
        return forward_pass(self, batch)

    replace(trainer, _forward_pass=without_anomaly_detection)
    return "MMF would run each step under anomaly detection"


def stop_after_max_updates(base_trainer: ModuleType) -> str | None:
    """`BaseTrainer.train` (MMF rc10) makes one update more than `training.max_updates`. Can go with rc10."""
    trainer = base_trainer.BaseTrainer
    if "self.num_updates > self.max_updates" not in source(trainer.train):
        return None
    logistics = trainer._logistics

    @functools.wraps(logistics)
    def stopping(self: Any, report: Any) -> bool:
        return logistics(self, report) or self.num_updates >= self.max_updates

    replace(trainer, _logistics=stopping)
    return "MMF would make one update too many"


def count_updates_of_epochs(base_trainer: ModuleType) -> str | None:
    """`BaseTrainer.train` (MMF rc10) fails for `training.max_epochs` when it prints the time left, which is infinite.

    The updates are counted. Can go with rc10.
    """
    trainer = base_trainer.BaseTrainer
    train = trainer.train
    if "self.max_updates = math.inf" not in source(train):
        return None

    @functools.wraps(train)
    def train_counted(self: Any) -> None:
        if self.max_epochs is not None:
            self.max_updates = self.max_epochs * batches_of_epoch(self)
            self.max_epochs = None
        train(self)

    replace(trainer, train=train_counted)
    return "MMF would fail when it prints the time left of training.max_epochs"


def batches_of_epoch(trainer: Any) -> int:
    """Batches of an epoch of MMF rc10's trainer, over all its datasets."""
    return sum(len(loader) for loader in trainer.train_loader.loaders)


def begin_several_anew(multi_dataset_loader: ModuleType) -> str | None:
    """`MultiDatasetLoader.__iter__` (MMF rc10) takes data sets for finished that an earlier pass came to the end of.

    With several data sets in a run, the second evaluation and the second epoch had no batch. Each pass begins anew.
    Can go with rc10.
    """
    cls: Any = vars(multi_dataset_loader).get("MultiDatasetLoader", object)
    begin = vars(cls).get("__iter__")
    if begin is None or not mentions(begin, "iterators", "append") or mentions(begin, "_finished_iterators"):
        return None

    @functools.wraps(begin)
    def begin_anew(self: Any) -> Any:
        self._iterators.clear()
        self._finished_iterators.clear()
        self._used_once.clear()
        return begin(self)

    replace(cls, __iter__=begin_anew)
    return "MMF would evaluate several data sets once, and never again"


def keep_rates_in_step(base_trainer: ModuleType) -> str | None:
    """`BaseTrainer` (MMF rc10) makes each update at the learning rate of the one before, the first after a resume at 0.

    It steps the scheduler before it counts the update, and makes it only after the checkpoint is loaded. Can go with
    rc10.
    """
    trainer = base_trainer.BaseTrainer
    backward = vars(trainer).get("_backward")
    if backward is None or "self._run_scheduler() self.num_updates += 1" not in source(backward):
        return None
    load_extras = trainer.load_extras

    def run_scheduler(self: Any) -> None:
        if self.lr_scheduler is not None:
            self.lr_scheduler.step(self.num_updates + 1)

    @functools.wraps(load_extras)
    def load_in_step(self: Any) -> None:
        load_extras(self)
        if self.lr_scheduler is not None and self.num_updates > 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # torch's, of a step before the optimizer's first
                self.lr_scheduler.step(self.num_updates)

    trainer._run_scheduler, trainer.load_extras = run_scheduler, load_in_step
    return "MMF would be an update late with each learning rate, and begin at 0 after a resume"


def judge_the_last_evaluation(training_loop: ModuleType) -> str | None:
    """The evaluation at the end of training (MMF main) does not count for `best.ckpt`.

    So a run shorter than `training.evaluation_interval` leaves none, and of a longer one the last updates are never
    the best. Can go when `after_training_loop` asks the early stopping, as the training loop does.
    """
    mixin = training_loop.TrainerTrainingLoopMixin
    after = mixin.after_training_loop
    if mentions(after, "early_stop_callback"):
        return None

    @functools.wraps(after)
    def after_training_loop(self: Any) -> None:
        ended = self.on_validation_end

        def judge(**evaluation: Any) -> None:
            self.early_stop_callback.on_validation_end(**evaluation)
            ended(**evaluation)

        self.on_validation_end = judge
        try:
            after(self)
        finally:
            del self.on_validation_end

    replace(mixin, after_training_loop=after_training_loop)
    return "MMF would leave the evaluation at the end of training out of best.ckpt"


def seed_each_rank(env: ModuleType) -> str | None:
    """`set_seed` (MMF rc10) gives all ranks the same seed, so that they draw the same dropout. Can go with rc10.

    Main's `run` adds the rank before it calls.
    """
    set_seed = env.set_seed
    if mentions(set_seed, "get_rank") or "get_rank" in text_of("mmf_cli", "run.py"):
        return None

    @functools.wraps(set_seed)
    def set_seed_of_rank(seed: int | None) -> int | None:
        from mmf.utils.distributed import get_rank

        return set_seed(seed + get_rank() if seed and seed != -1 else seed)

    replace(env, set_seed=set_seed_of_rank)
    return "MMF would seed all ranks alike"


def stop_early_on_all_ranks(early_stopping: ModuleType) -> str | None:
    """`EarlyStopping.__call__` (MMF rc10 and main): where it stops, rank 0 and the others wait for each other.

    With several processes it only decides here; the trainers restore the best checkpoint on all ranks afterwards.
    Can go when MMF restores on all ranks.
    """
    stopping = early_stopping.EarlyStopping
    decide = stopping.__call__
    if not mentions(decide, "restore"):
        return None

    @functools.wraps(decide)
    def decide_alike(self: Any, update: int, iteration: int, meter: Any) -> bool:
        from mmf.utils.distributed import get_world_size

        if get_world_size() < 2 or not self.should_stop:
            return decide(self, update, iteration, meter)
        self.should_stop = False
        try:
            decide(self, update, iteration, meter)
        finally:
            self.should_stop = True
        return self.activated

    replace(stopping, __call__=decide_alike)
    return "MMF's early stopping would hang with several processes"


def heed_persistent_workers(build: ModuleType) -> str | None:
    """`build_dataloader_and_sampler` (MMF main) makes `persistent_workers` a tuple, which is true whatever it holds.

    Can go when MMF takes the comma out.
    """
    make = vars(build).get("build_dataloader_and_sampler")
    if make is None or not MAKES_A_TUPLE.search(source(make)):
        return None
    initialise = torch.utils.data.DataLoader.__init__

    @functools.wraps(initialise)
    def read_tuple(self: Any, *args: Any, persistent_workers: Any = False, **options: Any) -> None:
        if isinstance(persistent_workers, tuple):
            persistent_workers = all(persistent_workers)
        initialise(self, *args, persistent_workers=persistent_workers, **options)

    replace(torch.utils.data.DataLoader, __init__=read_tuple)
    return "MMF would ignore training.persistent_workers"
