"""A smallest project for MMF: a model of its own, and data for it and for ours."""

from pathlib import Path

import torch
from mmf.common.registry import registry
from mmf.common.sample import Sample
from mmf.datasets.base_dataset import BaseDataset
from mmf.datasets.base_dataset_builder import BaseDatasetBuilder
from mmf.models.base_model import BaseModel

from . import words  # noqa: F401  (registers)

HERE = Path(__file__).resolve().parent


@registry.register_model("toy")
class Toy(BaseModel):
    """One linear layer."""

    @classmethod
    def config_path(cls):
        return str(HERE / "model.yaml")

    def build(self):
        self.linear = torch.nn.Linear(self.config.width, 2)

    def forward(self, sample_list):
        return {"scores": self.linear(sample_list["x"])}


class ToyDataset(BaseDataset):
    """Sixteen points whose class is the sign of their first coordinate."""

    def __init__(self, config, dataset_type, *args, **kwargs):
        super().__init__("toy_points", config, dataset_type)
        points = torch.randn(16, config.width, generator=torch.Generator().manual_seed(0))
        self.points, self.labels = points, (points[:, 0] > 0).long()

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        sample = Sample()
        sample.x, sample.targets = self.points[index], self.labels[index]
        sample.id = torch.tensor(index)
        return sample

    def format_for_prediction(self, report):
        return [{"id": int(i), "answer": int(s.argmax())} for i, s in zip(report["id"], report["scores"], strict=True)]


@registry.register_builder("toy_points")
class ToyBuilder(BaseDatasetBuilder):
    """Builds the points for each split."""

    def __init__(self, *args, **kwargs):
        super().__init__("toy_points", *args, **kwargs)

    @classmethod
    def config_path(cls):
        return str(HERE / "dataset.yaml")

    def build(self, config, dataset_type="train", *args, **kwargs):
        pass

    def load(self, config, dataset_type="train", *args, **kwargs):
        self.dataset = ToyDataset(config, dataset_type)
        return self.dataset

    def update_registry_for_model(self, config):
        pass
