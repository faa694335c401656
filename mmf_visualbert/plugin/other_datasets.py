"""Datasets that are not ours, MMF's own and a user's: how many samples they train on is handed on to the schedule."""

import functools
from collections.abc import Sized
from types import ModuleType
from typing import Any

from mmf_visualbert.compat.replace import replace


def count_samples(base_dataset_builder: ModuleType) -> str | None:
    """`BaseDatasetBuilder.load_dataset` (MMF rc10 and main) tells nobody how many samples there are.

    Our schedule needs the number where `training.max_epochs` is set; our own datasets hand on theirs themselves. Stays.
    """
    builder = base_dataset_builder.BaseDatasetBuilder
    load_dataset = builder.load_dataset

    @functools.wraps(load_dataset)
    def load_and_count(self: Any, config: Any, dataset_type: str = "train", *args: Any, **kwargs: Any) -> Any:
        from mmf_visualbert.plugin import run_facts
        from mmf_visualbert.plugin.datasets import VisualBERTDataset

        dataset = load_dataset(self, config, dataset_type, *args, **kwargs)
        if dataset_type == "train" and isinstance(dataset, Sized) and not isinstance(dataset, VisualBERTDataset):
            run_facts.hand_on(self.dataset_name, anew=True, train_samples=len(dataset))
        return dataset

    replace(builder, load_dataset=load_and_count)
    return "MMF would not say how many samples an epoch has"
