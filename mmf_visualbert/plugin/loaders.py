"""Our order of samples in MMF's data loaders."""

import functools
import logging
from types import ModuleType
from typing import Any

import torch
from torch.utils.data import IterableDataset

from mmf_visualbert.compat.distributed import rank, world_size
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.datasets.draws import seed_from
from mmf_visualbert.datasets.like_lengths import LikeLengths
from mmf_visualbert.datasets.order import EpochIndices, EpochOrder
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin import progress
from mmf_visualbert.plugin.configuration import MODEL
from mmf_visualbert.plugin.workers import begin_worker
from mmf_visualbert.processors.batch_room import RoomySamples

logger = logging.getLogger(__name__)
BUDGET = "token_budget"


def order_samples(build: ModuleType) -> str | None:
    """`_add_extra_args_for_dataloader` (MMF rc10 and main) shuffles by the global generator, and a new one each start.

    For our model an `EpochOrder` takes its place. Stays.
    """
    add = build._add_extra_args_for_dataloader

    @functools.wraps(add)
    def add_order(dataset: Any, other_args: dict[str, Any] | None = None) -> dict[str, Any]:
        return ordered(dataset, dataset.dataset_type == "train", add(dataset, other_args))

    replace(build, _add_extra_args_for_dataloader=add_order)
    return "MMF would begin an epoch anew, and repeat samples, wherever a run is stopped"


def order_predictions(test_reporter: ModuleType) -> str | None:
    """`TestReporter` (MMF rc10) builds loaders of its own, which repeat samples on several processes. Stays with rc10.

    Main asks the same function for all of its loaders.
    """
    cls = test_reporter.TestReporter
    add = vars(cls).get("_add_extra_args_for_dataloader")
    if add is None:
        return None

    @functools.wraps(add)
    def add_order(self: Any, other_args: dict[str, Any] | None = None) -> dict[str, Any]:
        return ordered(self.current_dataset, False, add(self, other_args))

    replace(cls, _add_extra_args_for_dataloader=add_order)
    return "MMF would repeat samples in the predictions of several processes"


def leave_in_place(batch_collator: ModuleType) -> str | None:
    """`BatchCollator` (MMF rc10 and main) copies all samples to a batch. Stays.

    Samples that lie in one room make theirs themselves.
    """
    cls = batch_collator.BatchCollator
    collate = cls.__call__

    @functools.wraps(collate)
    def collate_whole(self: Any, batch: Any) -> Any:
        return collate(self, batch.whole() if isinstance(batch, RoomySamples) else batch)

    replace(cls, __call__=collate_whole)
    return "MMF would copy regions that were read to their place in a batch"


def ordered(dataset: Any, shuffle: bool, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a data loader with our order in place of MMF's; as they are for a model of others."""
    from mmf.common.registry import registry

    from mmf_visualbert.plugin.datasets import VisualBERTDataset

    config = registry.get("config")
    if config.model != MODEL:
        return arguments
    if shuffle and progress.of_this_run() is None:
        progress.begin(str(config.datasets), base_seed(config))
    batch = arguments["batch_size"] * world_size()
    kept = {name: value for name, value in arguments.items() if name not in ("shuffle", "sampler")}
    budget = config.training.get(BUDGET) if shuffle else None
    if budget:
        kept.pop("batch_size")  # torch takes it from what a `batch_sampler` gives
        kept["batch_sampler"] = like_lengths(dataset, batch, int(budget))
    else:
        kind = EpochOrder if isinstance(dataset, VisualBERTDataset) else EpochIndices
        kept["sampler"] = kind(len(dataset), batch, shuffle, rank(), world_size())
    # A generator of its own: a loader that begins takes nothing from the random numbers of the run.
    return {"worker_init_fn": begin_worker, **kept, "generator": torch.Generator()}


def like_lengths(dataset: Any, batch_size: int, budget: int) -> LikeLengths:
    """Batches of at most `budget` tokens, which the schedule gets to know of.

    Raises:
        InputError: for a dataset that cannot say how long its samples are.
    """
    from mmf_visualbert.plugin import run_facts
    from mmf_visualbert.plugin.datasets import VisualBERTDataset

    lengths = dataset.dataset.facts.lengths if isinstance(dataset, VisualBERTDataset) else None
    if lengths is None:
        raise InputError(
            f"training.{BUDGET} is {budget}, and {dataset.dataset_name} cannot say how long its samples are before "
            f"they are drawn; set training.{BUDGET}=0 and limit training.batch_size"
        )
    order = LikeLengths(lengths(), batch_size, budget, rank(), world_size())
    run_facts.hand_on(dataset.dataset_name, train_batches=len(order))
    logger.info(
        f"training.{BUDGET}: {len(order)} batches an epoch of at most {budget} tokens and {batch_size} samples, "
        f"{order.length / len(order):.1f} on average, {100 * order.padding():.1f} % padding"
    )
    return order


def order_of(loader: Any) -> EpochOrder | LikeLengths | None:
    """Our order in a data loader; None where another decides it."""
    for order in (loader.batch_sampler, loader.sampler):
        if isinstance(order, EpochOrder | LikeLengths):
            return order
    return None


def base_seed(config: Any) -> int:
    """The seed of order and draws, the same on all processes: that of the first."""
    from mmf.common.registry import registry
    from mmf.utils.distributed import broadcast_scalar

    given = config.training.seed
    seed = int(torch.seed() % 2**31) if given is None else int(given)
    return broadcast_scalar(seed, 0, registry.get("current_device"))


def begin_where_stopped(multi_dataset_loader: ModuleType) -> str | None:
    """`seed_sampler` (MMF rc10 and main) tells samplers of the epoch only on several processes. Stays.

    Ours are told always, and where in the epoch to begin; main's number of batches is that of the rest. A run over
    several data sets begins its epoch anew, with the same order, and has the batches of each of them: of all their
    samples main counted too few, and divided the loss of the last ones by zero.
    """
    cls = next(vars(multi_dataset_loader)[name] for name in CLASSES if name in vars(multi_dataset_loader))
    seed_sampler, length = cls.seed_sampler, cls.__len__

    @functools.wraps(seed_sampler)
    def begin_epoch(self: Any, epoch: int) -> None:
        loaders, run = loaders_of(self), progress.of_this_run()
        orders = [order for order in map(order_of, loaders) if order is not None]
        if run is None or len(orders) < len(loaders):
            seed_sampler(self, epoch)
            return
        run.begin_epoch()
        start = run.samples if len(loaders) == 1 else 0
        for order, loader in zip(orders, loaders, strict=True):
            order.begin(run.seed, run.epoch, start)
            loader.generator.manual_seed(seed_from(run.seed, run.epoch))

    @functools.wraps(length)
    def rest(self: Any) -> int:
        loaders = loaders_of(self)
        if len(loaders) > 1 and not any(isinstance(loader.dataset, IterableDataset) for loader in loaders):
            return sum(map(len, loaders))  # the last batch of each is smaller, which MMF does not count
        order = order_of(loaders[0]) if len(loaders) == 1 else None
        return length(self) if order is None else order.left

    replace(cls, seed_sampler=begin_epoch)
    if cls.__name__ == "MultiDataLoader":
        replace(cls, __len__=rest)
    return "MMF would begin the epoch anew where a run goes on"


CLASSES = ("MultiDataLoader", "MultiDatasetLoader")  # main's (whose other class derives from it), rc10's


def loaders_of(loader: Any) -> list[Any]:
    """The data loaders of all datasets: rc10 has a list of them, main names them."""
    loaders = loader.loaders
    return list(loaders.values()) if isinstance(loaders, dict) else list(loaders)
