"""The task's samples: `[CLS] text [SEP]` + the regions of the image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import DatasetFacts, RegionQuery, RegionSource, Sample
from mmf_visualbert.datasets.lengths import region_counts, text_lengths
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.processors.text import TextAssembler

from .records import LABELS, Example, read_examples
from .settings import Settings

NAME = "visualbert_template"


class TemplateDataset:
    """One sample for each example.

    Args:
        examples: the records.
        text: assembles word pieces.
        regions: the regions of the images.

    Raises:
        InputError: naming the first example whose image has no features.
    """

    def __init__(self, examples: Sequence[Example], text: TextAssembler, regions: RegionSource) -> None:
        regions.check(RegionQuery(example.image, example.where) for example in examples)
        self.examples, self.text, self.regions = examples, text, regions

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Sample:
        """`id` (); `input_ids`, `text_mask`, `text_segments` (T,); `region_features` (R, D), `region_mask`,
        `region_segments` (R,); where labels are known `targets` ()."""
        example = self.examples[index]
        sample = {"id": torch.tensor(index), **self.text.single(example.text).tensors()}
        sample |= self.regions.tensors(RegionQuery(example.image, example.where))
        if example.label is not None:
            sample["targets"] = torch.tensor(example.label)
        return sample

    def lengths(self) -> np.ndarray:
        """Tokens of each sample (N,), for batches that are limited by them."""
        queries = (RegionQuery(example.image, example.where) for example in self.examples)
        texts = (example.text for example in self.examples)
        return text_lengths(self.text, texts) + region_counts(self.regions, queries)

    @property
    def facts(self) -> DatasetFacts:
        """What the model and the schedule need to know."""
        return DatasetFacts(len(self), self.text.tokenizer.vocab_size, lengths=self.lengths)

    def predictions(self, output: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """Entries of the leaderboard's file. `output` holds `id` (B,) and `scores` (B, N)."""
        chosen = output["scores"].argmax(dim=-1).tolist()
        return [
            {"id": self.examples[index].id, "label": LABELS[label]}
            for index, label in zip(output["id"].tolist(), chosen, strict=True)
        ]


@register("dataset", NAME, config=Path(__file__).with_name("dataset.yaml"), settings=Settings)
def build_template(config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> TemplateDataset:
    """One split as configured: see `dataset.yaml`."""
    settings = read_settings(Settings, config, f"dataset_config.{NAME}")
    paths = configured_paths(settings.data_dir, settings.annotations, "annotations", split)
    examples = read_examples(paths, labels_required=split != "test")
    store = configured_store(settings, split)
    return TemplateDataset(examples, processors["text_processor"], ImageRegions(store, processors["region_processor"]))
