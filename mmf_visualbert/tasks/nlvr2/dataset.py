"""NLVR2: is a sentence true of a pair of images? (§4.3, Appendix C; Suhr et al. 2019)

    [CLS] sentence [SEP] + regions of the left image (segment 0) + regions of the right image (segment 1)

One sequence, so that words and regions of both images attend to each other. With a `masking_processor`, masked language
modeling with the image is learned beside it: task-specific pre-training.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import DatasetFacts, RegionQuery
from mmf_visualbert.datasets.draws import repeatable_draws
from mmf_visualbert.datasets.lengths import region_counts, text_lengths
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.tasks.nlvr2.records import LABELS, ImagePair, read_nlvr2
from mmf_visualbert.tasks.nlvr2.settings import Settings

logger = logging.getLogger(__name__)

NAME = "visualbert_nlvr2"


class NLVR2:
    """One sample for each sentence and pair of images.

    Args:
        examples: the records.
        text: assembles `[CLS] sentence [SEP]`.
        regions: the regions of the images.
        masking: hides word pieces; None without the masked language modeling objective.
        repeatable: draw the same masks at every visit of a sample (for validation).

    Raises:
        InputError: naming the first example of which an image has no features.
    """

    def __init__(
        self,
        examples: Sequence[ImagePair],
        text: TextAssembler,
        regions: ImageRegions,
        masking: MaskedLanguageModeling | None = None,
        repeatable: bool = False,
    ) -> None:
        regions.check(RegionQuery(image, example.name) for example in examples for image in example.images)
        self.examples = examples
        self.text = text
        self.regions = regions
        self.masking = masking
        self.repeatable = repeatable

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def facts(self) -> DatasetFacts:
        """Its size and vocabulary."""
        return DatasetFacts(len(self), self.text.tokenizer.vocab_size, lengths=self.lengths)

    def lengths(self) -> np.ndarray:
        """Tokens of each sample (N,)."""
        lengths = text_lengths(self.text, (example.sentence for example in self.examples))
        for side in range(2):
            queries = (RegionQuery(example.images[side], example.name) for example in self.examples)
            lengths = lengths + region_counts(self.regions, queries)
        return lengths

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Sample `index`.

        Returns:
            `id` (); `group` (), number of the consistency group; `input_ids`, `text_mask`, `text_segments` (T,);
            `region_features` (2R, D), `region_mask`, `region_segments` (2R,); where labels are known `targets` (), 1
            for True; with masking `masked_lm_labels` (T,), -1 where nothing is masked.
        """
        example = self.examples[index]
        assembled = self.text.single(example.sentence)
        sample = {
            "id": torch.tensor(index),
            "group": torch.tensor(example.group),
            **assembled.tensors(),
            **self.regions.sequence([RegionQuery(image, example.name) for image in example.images]),
        }
        if example.label is not None:
            sample["targets"] = torch.tensor(example.label)
        if self.masking is not None:
            with repeatable_draws(index if self.repeatable else None):
                sample |= self.masking(assembled)._asdict()
        return sample

    def predictions(self, output: Mapping[str, Tensor]) -> list[dict[str, str]]:
        """Leaderboard entries of one batch: `identifier` and `prediction`, "True" or "False".

        Args:
            output: `id` (B,) and `scores` (B, 2).
        """
        classes = output["scores"].argmax(dim=-1).tolist()
        return [
            {"identifier": self.examples[index].identifier, "prediction": LABELS[label]}
            for index, label in zip(output["id"].tolist(), classes, strict=True)
        ]


@register("dataset", NAME, settings=Settings)
def build_nlvr2(config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> NLVR2:
    """NLVR2 as configured: see `configs/datasets/nlvr2.yaml`.

    Raises:
        InputError: naming file, example and mend.
    """
    settings = read_settings(Settings, config, f"dataset_config.{NAME}")
    paths = configured_paths(settings.data_dir, settings.annotations, "annotations", split)
    examples = read_nlvr2(paths, labels_required=split != "test")
    text = processors["text_processor"]
    store = configured_store(settings, split)
    regions = ImageRegions(store, processors["region_processor"], settings.missing_regions)
    dataset = NLVR2(examples, text, regions, processors.get("masking_processor"), repeatable=split != "train")
    cut = text.tokenizer.longer_than([example.sentence for example in examples], text.max_seq_length - 2)
    if cut:
        logger.warning(
            "NLVR2 %s: %d of %d sentences are longer than max_seq_length %d and lose their end, first %s",
            split,
            len(cut),
            len(examples),
            text.max_seq_length,
            examples[cut[0]].identifier,
        )
    return dataset
