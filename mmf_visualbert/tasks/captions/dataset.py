"""Captions for task-agnostic pre-training (§3.3): masked language modeling and sentence-image prediction."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import DatasetFacts, RegionQuery, RegionSource
from mmf_visualbert.datasets.draws import repeatable_draws
from mmf_visualbert.datasets.lengths import region_counts, text_lengths
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.tasks.captions.records import CaptionedImage, choose_parts, read_captions, require_captions
from mmf_visualbert.tasks.captions.settings import Settings, TextSettings

logger = logging.getLogger(__name__)

NAME = "visualbert_captions"

# The label says whether the whole text describes the image: the authors' convention, the reverse of BERT's next
# sentence prediction.
DESCRIBES, RANDOM = 1, 0
LONE_CAPTION = ("alone", "random", "swapped")


class DrawnTexts(NamedTuple):
    """The text of one sample: `first`, perhaps `second`, and the sentence-image label, 1 or 0."""

    first: str
    second: str | None
    label: int


class CaptionPairs:
    """Two captions: the first describes the image; the second too (label 1), or it is another image's (label 0).

    Args:
        images: at least one caption each.
        random_probability: of the second caption being another image's; 0.5 in §3.3.
        lone_caption: what becomes of an image with a single caption.
            "alone": the second segment falls away (label 1).
            "random": the second caption is always another image's (label 0).
            "swapped": one segment: the caption (label 1), or with `random_probability` another image's (label 0).

    Raises:
        InputError: where there is no second image to draw a random caption from, or for a value that is none of these.
    """

    def __init__(
        self, images: Sequence[CaptionedImage], random_probability: float = 0.5, lone_caption: str = "alone"
    ) -> None:
        if not 0 <= random_probability <= 1:
            raise InputError(f"random_caption_probability is {random_probability}; set it between 0 and 1")
        if lone_caption not in LONE_CAPTION:
            raise InputError(f"lone_caption is '{lone_caption}'; set it to one of {', '.join(LONE_CAPTION)}")
        if len(images) < 2 and random_probability > 0:
            raise InputError(
                f"there is only {images[0].name}, so no caption of another image can be drawn; add images, or set "
                "sentence_image: false"
            )
        self.images = images
        self.random_probability = random_probability
        self.lone_caption = lone_caption
        counts = [len(image.captions) for image in images]
        if max(counts) == 1 and lone_caption != "swapped":
            logger.warning(
                "every image has one caption, so with lone_caption: %s all sentence-image labels are the same and "
                "nothing is learned from them; set lone_caption: swapped, or sentence_image: false",
                lone_caption,
            )
        self.starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self.image_of = np.repeat(np.arange(len(images), dtype=np.int32), counts)

    def __call__(self, image_index: int, caption_index: int) -> DrawnTexts:
        """Draws the text that goes with caption `caption_index` of image `image_index`, from torch's generator."""
        captions = self.images[image_index].captions
        anchor = captions[caption_index]
        kind, place = torch.rand(2, dtype=torch.float64).tolist()
        is_random = kind < self.random_probability
        if len(captions) > 1:
            if is_random:
                return DrawnTexts(anchor, self._other_image(image_index, place), RANDOM)
            other = int(place * (len(captions) - 1))
            return DrawnTexts(anchor, captions[other + (other >= caption_index)], DESCRIBES)
        if self.lone_caption == "random":
            return DrawnTexts(anchor, self._other_image(image_index, place), RANDOM)
        if self.lone_caption == "swapped" and is_random:
            return DrawnTexts(self._other_image(image_index, place), None, RANDOM)
        return DrawnTexts(anchor, None, DESCRIBES)

    def _other_image(self, image_index: int, place: float) -> str:
        """The caption at `place` (0 to 1) among all captions but those of this image."""
        start, end = self.starts[image_index], self.starts[image_index + 1]
        chosen = int(place * (len(self.image_of) - (end - start)))
        chosen += int(end - start) if chosen >= start else 0
        other = self.image_of[chosen]
        return self.images[other].captions[chosen - self.starts[other]]


class Captions:
    """One sample for each caption, so COCO's five captions of an image are five samples of an epoch.

    Args:
        images: at least one caption each.
        text: assembles `[CLS] first [SEP] second [SEP]`.
        regions: the regions of the images; None for text alone (§5.1, C1 "w/o grounded pre-training").
        masking: hides word pieces; None without the masked language modeling objective.
        pairs: draws the second caption; None for a single caption and no sentence-image objective (§5.1, C4).
        repeatable: draw the same masks and pairs at every visit of a sample (for validation).

    Raises:
        InputError: without any objective, for images without captions, or without features.
    """

    def __init__(
        self,
        images: Sequence[CaptionedImage],
        text: TextAssembler,
        regions: RegionSource | None = None,
        masking: MaskedLanguageModeling | None = None,
        pairs: CaptionPairs | None = None,
        repeatable: bool = False,
    ) -> None:
        if masking is None and pairs is None:
            raise InputError(
                "captions have no objective; configure processors.masking_processor, or set sentence_image: true"
            )
        require_captions(images)
        if regions is not None:
            regions.check(RegionQuery(image.key, image.name) for image in images)
        self.images = images
        self.text = text
        self.regions = regions
        self.masking = masking
        self.pairs = pairs
        self.repeatable = repeatable
        counts = [len(image.captions) for image in images]
        self.image_of = np.repeat(np.arange(len(images), dtype=np.int32), counts)
        self.caption_of = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])

    def __len__(self) -> int:
        return len(self.image_of)

    @property
    def facts(self) -> DatasetFacts:
        """Its size and vocabulary."""
        return DatasetFacts(len(self), self.text.tokenizer.vocab_size, lengths=self.lengths)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Sample `index`.

        Returns:
            `id` (); `input_ids`, `text_mask`, `text_segments` (T,); unless text alone, what the region source gives;
            with masking `masked_lm_labels` (T,), -1 where nothing is masked; with pairs `sentence_image_labels` (),
            1 where the whole text describes the image, 0 where a caption is random; `targets`, that label if
            there is one, otherwise `masked_lm_labels`.
        """
        image_index, caption_index = int(self.image_of[index]), int(self.caption_of[index])
        image = self.images[image_index]
        with repeatable_draws(index if self.repeatable else None):
            drawn = self._draw(image_index, caption_index)
            if drawn.second is None:
                assembled = self.text.single(drawn.first)
            else:
                assembled = self.text.pair(drawn.first, drawn.second)
            sample = {"id": torch.tensor(index), **assembled.tensors()}
            if self.masking is not None:
                masked = self.masking(assembled)
                sample |= masked._asdict()
                sample["targets"] = masked.masked_lm_labels
        if self.pairs is not None:
            sample["sentence_image_labels"] = sample["targets"] = torch.tensor(drawn.label)
        if self.regions is not None:
            sample |= self.regions.tensors(RegionQuery(image.key, image.name))
        return sample

    def lengths(self) -> np.ndarray:
        """Tokens of each sample (N,); the second caption of a pair, which is drawn, counts as one of mean length."""
        captions = (caption for image in self.images for caption in image.captions)
        lengths = text_lengths(self.text, captions)
        if self.pairs is not None:
            second = round(float(lengths.mean())) - 1
            lengths = np.minimum(lengths + second, self.text.max_seq_length)
        if self.regions is None:
            return lengths
        queries = (RegionQuery(image.key, image.name) for image in self.images)
        return lengths + region_counts(self.regions, queries)[self.image_of]

    def _draw(self, image_index: int, caption_index: int) -> DrawnTexts:
        if self.pairs is None:
            return DrawnTexts(self.images[image_index].captions[caption_index], None, DESCRIBES)
        return self.pairs(image_index, caption_index)

    def predictions(self, output: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the model says of each caption of a batch: there is no leaderboard, this is for looking at.

        Args:
            output: `id` (B,), and where the model gives them `sentence_image_logits` (B, 2), `masked_lm_count` (B,)
                and `masked_lm_correct` (B,).
        """
        entries = []
        for row, index in enumerate(output["id"].tolist()):
            image = self.images[self.image_of[index]]
            entry = {"id": index, "image": image.key, "caption": image.captions[self.caption_of[index]]}
            if "sentence_image_logits" in output:
                entry["describes"] = bool(output["sentence_image_logits"][row].argmax() == DESCRIBES)
            for name in ("masked_lm_count", "masked_lm_correct"):
                if name in output:
                    entry[name] = int(output[name][row])
            entries.append(entry)
        return entries


def read_images(settings: TextSettings, split: str) -> list[CaptionedImage]:
    """The captioned images of one split, as `annotations`, `split_file` and `split_parts` of the settings say.

    Raises:
        InputError: see `caption_files`.
    """
    images = read_captions(configured_paths(settings.data_dir, settings.annotations, "annotations", split))
    if settings.split_file:
        parts = settings.split_parts.of(split)
        if not parts:
            raise InputError(
                f"split_parts.{split} is empty; name parts of {settings.split_file}, or set split_file: null"
            )
        images = choose_parts(images, settings.data_dir / settings.split_file, parts)
    require_captions(images)
    return images


@register("dataset", NAME, settings=Settings)
def build_captions(
    config: Mapping[str, Any], split: str, processors: Mapping[str, Any], regions: RegionSource | None = None
) -> Captions:
    """Captions as configured: see `configs/datasets/captions.yaml`.

    Args:
        regions: another source of regions than the configured stores.
    """
    settings = read_settings(Settings, config, f"dataset_config.{NAME}")
    if regions is None and not settings.text_only:
        store = configured_store(settings, split)
        regions = ImageRegions(store, processors["region_processor"], settings.missing_regions)
    return captions_of(settings, split, processors, regions, read_images(settings, split))


def captions_of(
    settings: TextSettings,
    split: str,
    processors: Mapping[str, Any],
    regions: RegionSource | None,
    images: list[CaptionedImage],
) -> Captions:
    """Captions of images with regions of any source, which text alone leaves out."""
    if settings.text_only:
        regions = None
    pairs = None
    if settings.sentence_image:
        pairs = CaptionPairs(images, settings.random_caption_probability, settings.lone_caption)
    text = processors["text_processor"]
    _report_cuts(images, text, pairs is not None, split)
    return Captions(images, text, regions, processors.get("masking_processor"), pairs, split != "train")


def _report_cuts(images: Sequence[CaptionedImage], text: TextAssembler, in_pairs: bool, split: str) -> None:
    captions = [caption for image in images for caption in image.captions]
    room = (text.max_seq_length - 3) // 2 if in_pairs else text.max_seq_length - 2
    cut = text.tokenizer.longer_than(captions, room)
    if cut:
        logger.warning(
            "captions %s: %d of %d captions have more than %d word pieces and %s cut to max_seq_length %d, first '%s'",
            split,
            len(cut),
            len(captions),
            room,
            "may be" if in_pairs else "are",
            text.max_seq_length,
            captions[cut[0]],
        )
