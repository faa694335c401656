"""Our datasets as MMF's builders and datasets. The only module of this room that imports MMF."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmf.common.registry import registry
from mmf.common.sample import Sample, SampleList
from mmf.datasets.base_dataset import BaseDataset
from mmf.datasets.base_dataset_builder import BaseDatasetBuilder
from mmf.datasets.processors.processors import Processor
from omegaconf import OmegaConf

from mmf_visualbert import catalog
from mmf_visualbert.contracts import Dataset
from mmf_visualbert.datasets.draws import repeatable_draws
from mmf_visualbert.datasets.order import Place
from mmf_visualbert.datasets.presence import require_files
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.on_host import NAME, OnHost
from mmf_visualbert.plugin import run_facts
from mmf_visualbert.plugin.configuration import MODEL
from mmf_visualbert.plugin.mmf_fields import under_mmf_names
from mmf_visualbert.plugin.shared_losses import NOT_COUNTED
from mmf_visualbert.plugin.unread import left_out, names_of_checkpoint, needed, unread
from mmf_visualbert.plugin.workers import batch_memory
from mmf_visualbert.processors.batch_room import RoomySamples, batch_room
from mmf_visualbert.yaml_config import container


class VisualBERTDataset(BaseDataset):
    """One split of one of our datasets, as MMF's trainer sees it.

    Args:
        dataset_name: its registered name.
        config: `dataset_config.<name>`.
        dataset_type: train, val or test.
        dataset: the plain dataset.
    """

    def __init__(self, dataset_name: str, config: Any, dataset_type: str, dataset: Dataset) -> None:
        super().__init__(dataset_name, config, dataset_type)
        self.dataset = dataset
        run = registry.get("config", no_warning=True)
        self.for_ours = run is None or run.model == MODEL

    def init_processors(self) -> None:
        """Nothing is left to do: the builder passes processors in, so that a dataset is never half built."""

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, place: Place | int) -> Sample:
        """The sample at a place of an epoch; an index alone leaves what is random in it to torch's generator."""
        if not isinstance(place, Place):
            return self._named(self.dataset[place])
        with repeatable_draws(place.draw if self.dataset_type == "train" else None):
            sample = self._named(self.dataset[place.sample])
        if not place.counted:
            sample[NOT_COUNTED] = torch.tensor(True)
        return sample

    def __getitems__(self, places: Sequence[Place | int]) -> list[Sample]:
        """The samples of a batch, for which torch's loaders ask: their regions are read to where they stay in it.

        For another model samples of no room, which MMF puts together; the slow twin of what is done for ours.
        """
        if not self.for_ours:
            return [self[place] for place in places]
        with batch_room(len(places), batch_memory) as room:
            return RoomySamples((self[place] for place in places), room)

    def prepare_batch(self, batch: Any) -> SampleList:
        """The batch on the device of the run, with what decides shapes still in the CPU's memory."""
        sample_list = batch if isinstance(batch, SampleList) else SampleList(batch)
        known = sample_list.get(NAME) or OnHost(sample_list)  # main prepares a batch of an evaluation twice
        prepared = super().prepare_batch(sample_list)
        prepared[NAME] = known
        return prepared

    def _named(self, sample: Mapping[str, Any]) -> Sample:
        """Another model than ours finds MMF's names beside ours."""
        return Sample(dict(sample) if self.for_ours else {**sample, **under_mmf_names(sample)})

    def format_for_prediction(self, report: Mapping) -> list[dict]:
        """Leaderboard entries of one batch; `report` holds `id` and `scores` of all ranks."""
        return self.dataset.predictions(report)


def dataset_builder(name: str) -> type[BaseDatasetBuilder]:
    """MMF's builder class for the dataset registered as `name` in our catalog."""

    class Builder(BaseDatasetBuilder):
        def __init__(self, dataset_name: str = name, *args: Any, **kwargs: Any) -> None:
            super().__init__(dataset_name)

        @classmethod
        def config_path(cls) -> str:
            return str(catalog.dataset_config(name))

        def build(self, config: Any, dataset_type: str = "train", *args: Any, **kwargs: Any) -> None:
            """Nothing to download: the owners of these data sets ask for their terms to be accepted."""

        def load(self, config: Any, dataset_type: str = "train", *args: Any, **kwargs: Any) -> VisualBERTDataset:
            plain, run = container(config), registry.get("config", no_warning=True)
            require_files(self.dataset_name, plain, needed(run))
            processors = build_processors(self.dataset_name, plain)
            missing = {split: left_out(plain, split, run) for split in ("train", dataset_type)}
            answers = names_of_checkpoint(run, processors, self.dataset_name) if missing["train"] else None
            absent = missing[dataset_type]
            if absent is None:
                dataset = catalog.get("dataset", name)(plain, dataset_type, processors)
            else:
                dataset = unread(self.dataset_name, dataset_type, absent, answers)
            hand_on_facts(self.dataset_name, dataset_type, dataset)
            return VisualBERTDataset(self.dataset_name, config, dataset_type, dataset)

        def update_registry_for_model(self, config: Any) -> None:
            """The model asks `run_facts`; MMF's older version calls this without asking whether it is there."""

    Builder.__name__ = Builder.__qualname__ = f"{name}_builder"
    return Builder


def build_processors(dataset_name: str, dataset_config: Mapping[str, Any]) -> dict[str, Any]:
    """Processors of a dataset by their keys: ours plain, others through MMF's registry. One instance for all splits.

    A processor may keep what it learnt from the data (an answer vocabulary), so it is shared only between splits of one
    and the same dataset configuration.

    Raises:
        InputError: for a processor without a type.
    """
    processors = {}
    for key, config in (dataset_config.get("processors") or {}).items():
        if not config:
            continue
        if "type" not in config:
            raise InputError(f"dataset_config.{dataset_name}.processors.{key} has no type; name a registered processor")
        made_from = repr(dataset_config)
        kept = registry.get(f"{dataset_name}_{key}", no_warning=True)
        if kept is None or kept[0] != made_from:
            kept = (made_from, _build_processor(config))
            registry.register(f"{dataset_name}_{key}", kept)
        processors[key] = kept[1]
    return processors


def _build_processor(config: Mapping[str, Any]) -> Any:
    if config["type"] in catalog.names("processor"):
        return catalog.build("processor", config)
    return Processor(OmegaConf.create(dict(config)))


def hand_on_facts(name: str, split: str, dataset: Dataset) -> None:
    """Hands on what the model and the scheduler need to know of a dataset."""
    facts, training = dataset.facts, split == "train"
    run_facts.hand_on(
        name,
        anew=training,
        train_samples=facts.samples if training else None,
        answers=facts.answers if training else None,
        vocab_size=facts.vocab_size,
    )
