"""Sixteen made-up sequences with regions, for our model."""

from pathlib import Path

import torch
from mmf.common.registry import registry
from mmf.common.sample import Sample
from mmf.datasets.base_dataset import BaseDataset
from mmf.datasets.base_dataset_builder import BaseDatasetBuilder

from mmf_visualbert.errors import InputError

WORDS, REGIONS = 5, 3


class Words(BaseDataset):
    """The class is whether the first word's number is even."""

    def __init__(self, config, dataset_type):
        super().__init__("toy_words", config, dataset_type)
        random = torch.Generator().manual_seed(0)
        self.ids = torch.randint(20, (16, WORDS), generator=random)
        self.features = torch.randn(16, REGIONS, 8, generator=random)
        self.broken = config.get("broken", False)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        if self.broken:
            raise InputError(f"record {index} is broken; mend it")
        sample = Sample()
        sample.input_ids, sample.region_features = self.ids[index], self.features[index]
        sample.text_mask, sample.region_mask = torch.ones(WORDS, dtype=bool), torch.ones(REGIONS, dtype=bool)
        sample.text_segments = torch.zeros(WORDS, dtype=torch.int64)
        sample.region_segments = torch.zeros(REGIONS, dtype=torch.int64)
        sample.targets, sample.id = self.ids[index, 0] % 2, torch.tensor(index)
        return sample


@registry.register_builder("toy_words")
class WordsBuilder(BaseDatasetBuilder):
    """Builds the same sequences for each split."""

    def __init__(self, *args, **kwargs):
        super().__init__("toy_words", *args, **kwargs)

    @classmethod
    def config_path(cls):
        return str(Path(__file__).with_name("words.yaml"))

    def build(self, config, dataset_type="train", *args, **kwargs):
        pass

    def load(self, config, dataset_type="train", *args, **kwargs):
        return Words(config, dataset_type)

    def update_registry_for_model(self, config):
        pass
