"""Samples that one core makes for training: reading, masking, pairing, assembling; features from a warm store.

visualbert benchmark samples --task pretrain --images 1000
visualbert benchmark samples dataset_config.visualbert_captions.processors.text_processor.params.keep_words=100000

The training split is that of the yaml that ships, on data that are made for it. With `key=value` a second one is opened
that has them, and both take turns.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mmf_visualbert.benchmark.whole_run import write_run
from mmf_visualbert.contracts import Dataset
from mmf_visualbert.datasets.draws import repeatable_draws, seed_from
from mmf_visualbert.plugin.workers import batch_memory
from mmf_visualbert.processors.batch_room import batch_room
from mmf_visualbert.runs import open_dataset, read_config


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Microseconds of processor time a sample, as shipped and with the overrides, alone and stacked to batches."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = write_run(options, Path(folder))
        datasets = {"shipped": training_split(path)}
        if options.overrides:
            datasets["changed"] = training_split(path, options.overrides)
        figures = measure(datasets, options.batch, options.rounds, options.seed)
    sizes = {"samples": len(datasets["shipped"]), "images": options.images, "batch": options.batch}
    asked = {"rounds": options.rounds, "overrides": list(options.overrides)}
    return {"benchmark": "samples", "workload": options.workload, **sizes, **asked, "microseconds": figures}


def training_split(path: Path, overrides: Sequence[str] = ()) -> Dataset:
    """The training split of a configuration."""
    config = read_config(path, overrides)
    return open_dataset(config, str(config.datasets), "train")


def measure(datasets: dict[str, Dataset], batch: int, rounds: int, seed: int) -> dict[str, dict[str, float]]:
    """What each of some datasets takes for a sample: of its first epoch, and medians of epochs after it.

    All draw the same: an epoch's number seeds its order and what is random in it.
    """
    figures: dict[str, dict[str, float]] = {}
    for name, dataset in datasets.items():
        figures[name] = {"first_epoch": epoch(dataset, 1, seed, 0)}
    taken: dict[str, dict[str, list[float]]] = {name: {"alone": [], "stacked": []} for name in datasets}
    for number in range(1, rounds + 1):
        for name, dataset in datasets.items():
            taken[name]["alone"].append(epoch(dataset, 1, seed, number))
            taken[name]["stacked"].append(epoch(dataset, batch, seed, number))
    for name, ways in taken.items():
        figures[name] |= {way: statistics.median(times) for way, times in ways.items()}
    return figures


def epoch(dataset: Dataset, batch: int, seed: int, number: int) -> float:
    """Microseconds of the processor a sample in one epoch, stacked where a batch has several."""
    with repeatable_draws(seed_from(seed, number)):
        order = torch.randperm(len(dataset)).tolist()
        # Processor time, so that what else the machine does is not counted; features lie in memory, so nothing waits.
        start = time.process_time()
        for first in range(0, len(order), batch):
            if batch == 1:
                dataset[order[first]]
                continue
            together = order[first : first + batch]
            with batch_room(len(together), batch_memory) as room:
                room.stacked([dataset[index] for index in together])
        return 1e6 * (time.process_time() - start) / len(order)
