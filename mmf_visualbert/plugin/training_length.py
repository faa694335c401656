"""How many optimizer updates a run will make, so that warm-up and decay need not be kept in step by hand."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from mmf_visualbert.errors import InputError


def epoch_batches(datasets: Iterable[Mapping[str, Any]], batch_size: int) -> int:
    """Number of batches of an epoch: those of each dataset, whose last is smaller, or which tokens limit.

    MMF divides the batch size among processes, so that it is the same on one process as on many.

    Args:
        datasets: what each has noted of itself: `train_batches`, or the `train_samples` that make them.
        batch_size: of all processes together.
    """
    return sum(of.get("train_batches") or math.ceil((of.get("train_samples") or 0) / batch_size) for of in datasets)


def training_updates(config: Mapping[str, Any], batches: int) -> int:
    """Number of updates of a run: epochs times batches where `training.max_epochs` is set, else `training.max_updates`.

    Both versions of MMF ignore `max_updates` (which has a default) where `max_epochs` is set.

    Args:
        config: MMF's whole configuration.
        batches: of an epoch; needed where `training.max_epochs` is set.

    Raises:
        InputError: where neither is set, or an epoch is empty.
    """
    training = config["training"]
    epochs = training.get("max_epochs")
    if epochs is None:
        if training.get("max_updates") is None:
            raise InputError(
                "neither training.max_updates nor training.max_epochs is set in the config; set one of them"
            )
        return int(training["max_updates"])
    if not batches:
        raise InputError("the training data of the config is empty; give annotations.train at least one record")
    return math.ceil(batches / (training.get("update_frequency") or 1)) * int(epochs)
