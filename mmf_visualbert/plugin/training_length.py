"""How many optimizer updates a run will make, so that warm-up and decay need not be kept in step by hand."""

import math
from collections.abc import Mapping
from typing import Any

from mmf_visualbert.errors import InputError


def training_updates(config: Mapping[str, Any], samples: int | None, batches: int | None = None) -> int:
    """Number of updates of a run: epochs times batches where `training.max_epochs` is set, else `training.max_updates`.

    Both versions of MMF ignore `max_updates` (which has a default) where `max_epochs` is set.

    Args:
        config: MMF's whole configuration.
        samples: number of training samples over all datasets; needed where `training.max_epochs` is set.
        batches: of an epoch, where it is not the batch size that decides them.

    Raises:
        InputError: where neither is set.
    """
    training = config["training"]
    epochs = training.get("max_epochs")
    if epochs is None:
        if training.get("max_updates") is None:
            raise InputError(
                "neither training.max_updates nor training.max_epochs is set in the config; set one of them"
            )
        return int(training["max_updates"])
    if not samples:
        raise InputError("the training data of the config is empty; give annotations.train at least one record")
    # MMF divides the batch size among processes, so an epoch has as many updates on one process as on many.
    batches = batches or math.ceil(samples / training["batch_size"])
    return math.ceil(batches / (training.get("update_frequency") or 1)) * int(epochs)
