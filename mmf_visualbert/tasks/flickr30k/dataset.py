"""Flickr30K Entities: which region of the image does a phrase of the caption refer to (§4.4, Appendix D).

    [CLS] caption [SEP] + 10 to 100 regions

With a `masking_processor` the objective is masked language modeling with the image instead: task-specific pre-training.
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
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import RegionRecord
from mmf_visualbert.modules.boxes import overlaps_any_of_each
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.text import Assembled, TextAssembler
from mmf_visualbert.tasks.flickr30k.annotations import PHRASE_TYPES, ImageAnnotation, Phrase
from mmf_visualbert.tasks.flickr30k.records import Caption, read_captions
from mmf_visualbert.tasks.flickr30k.settings import Settings

logger = logging.getLogger(__name__)

NAME = "visualbert_flickr30k"


class Flickr30k:
    """Captions with phrases and regions as samples.

    Args:
        captions: the records.
        annotations: per image id its gold boxes.
        regions: where the regions of the images come from; they need boxes.
        text: word pieces of a caption.
        masking: hides word pieces; then the phrases are left out.
        max_phrases: E, room for the phrases of a caption.
        threshold: the IoU with a gold box from which on a region is a match.
        repeatable: draw the same masks at every visit of a sample (for validation).

    Raises:
        InputError: for a caption with more phrases than E.
    """

    def __init__(
        self,
        captions: Sequence[Caption],
        annotations: Mapping[str, ImageAnnotation],
        regions: ImageRegions,
        text: TextAssembler,
        *,
        masking: MaskedLanguageModeling | None = None,
        max_phrases: int = 32,
        threshold: float = 0.5,
        repeatable: bool = False,
    ) -> None:
        longest = max(captions, key=lambda caption: len(caption.phrases), default=None)
        if masking is None and longest is not None and len(longest.phrases) > max_phrases:
            raise InputError(
                f"{longest.name} has {len(longest.phrases)} phrases and max_phrases is {max_phrases}; "
                f"set max_phrases to {len(longest.phrases)} or more"
            )
        self.captions = captions
        self.annotations = annotations
        self.regions = regions
        self.text = text
        self.masking = masking
        self.max_phrases = max_phrases
        self.threshold = threshold
        self.repeatable = repeatable

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def facts(self) -> DatasetFacts:
        """Its size and vocabulary."""
        return DatasetFacts(len(self), self.text.tokenizer.vocab_size, lengths=self.lengths)

    def lengths(self) -> np.ndarray:
        """Tokens of each sample (N,)."""
        queries = (RegionQuery(caption.image_id, caption.name) for caption in self.captions)
        texts = (" ".join(caption.words) for caption in self.captions)
        return text_lengths(self.text, texts) + region_counts(self.regions, queries)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One sample: `id`, text and region tensors, `targets`, and either `masked_lm_labels` (T,) or the phrases:

        `phrase_positions` (E,) int64: the last sub-word of each phrase (§4.4); -1 at padding and where it was cut off;
        `phrase_targets` (E, R) bool: regions with an IoU of at least 0.5 with any gold box of the phrase's chain;
        `phrase_mask` (E,) bool: there is a phrase; `phrase_types` (E,) int64: index into `PHRASE_TYPES`.

        Raises:
            InputError: where the regions have no boxes, or their image another size than in the annotation.
        """
        caption = self.captions[index]
        record = self.regions.record(caption.image_id)
        sample = {"id": torch.tensor(index), **self.regions.tensors_of(record, caption.image_id)}
        assembled, positions = self.assemble(caption)
        sample |= assembled.tensors()
        if self.masking is not None:
            with repeatable_draws(index if self.repeatable else None):
                sample["input_ids"], sample["masked_lm_labels"] = self.masking(assembled)
            return sample | {"targets": sample["masked_lm_labels"]}
        sample |= self._phrases(caption, positions, self.boxes(caption, record))
        return sample | {"targets": sample["phrase_targets"]}

    def assemble(self, caption: Caption) -> tuple[Assembled, list[int]]:
        """The caption as word pieces, and the position of each phrase's last sub-word; -1 where it was cut off."""
        return assemble_caption(self.text, caption.words, caption.phrases)

    def boxes(self, caption: Caption, record: RegionRecord) -> Tensor:
        """The boxes (N, 4) float32 of the regions that the sample has, in pixels of the annotated image."""
        if record.boxes is None:
            raise InputError(
                f"the regions of image {caption.image_id} have no boxes in {self.regions.store}; phrases are grounded "
                "in boxes, so extract features with boxes"
            )
        annotation = self.annotations[caption.image_id]
        size = (record.width or annotation.width, record.height or annotation.height)
        if size != (annotation.width, annotation.height):
            raise InputError(
                f"image {caption.image_id} is {annotation.width} x {annotation.height} in its annotation and "
                f"{size[0]} x {size[1]} in {self.regions.store}; extract its features from the official image"
            )
        return torch.from_numpy(np.array(record.boxes[: self.regions.processor.max_regions], dtype=np.float32))

    def _phrases(self, caption: Caption, positions: list[int], boxes: Tensor) -> dict[str, Tensor]:
        count, boxes_of = len(positions), self.annotations[caption.image_id].boxes
        targets = torch.zeros(self.max_phrases, self.regions.processor.max_regions, dtype=torch.bool)
        gold = [torch.from_numpy(boxes_of[phrase.chain]) for phrase in caption.phrases]
        targets[:count, : len(boxes)] = overlaps_any_of_each(boxes, gold, self.threshold)
        padding = self.max_phrases - count
        return {
            "phrase_positions": torch.tensor(positions + [-1] * padding),
            "phrase_targets": targets,
            "phrase_mask": torch.arange(self.max_phrases) < count,
            "phrase_types": torch.tensor([*map(type_index, caption.phrases), *[0] * padding]),
        }

    def predictions(self, output: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """The region that each phrase of a batch refers to.

        Args:
            output: `id` (B,) and `scores` (B, E · R), as `PhraseGroundingOutput` has them.

        Returns:
            One entry a phrase: `image_id`, `sentence` (from 1), `chain`, `phrase`, `type`, `first_word`, and as the
            answer `region`, its index in the feature store, and `box`, x1, y1, x2, y2 in pixels; both None where the
            phrase was cut off with the text.
        """
        scores = output["scores"].view(len(output["id"]), self.max_phrases, -1).cpu()
        entries = []
        for index, rows in zip(output["id"].tolist(), scores, strict=True):
            caption = self.captions[index]
            boxes = self.boxes(caption, self.regions.record(caption.image_id))
            for phrase, row in zip(caption.phrases, rows, strict=False):
                region = None if row.isinf().all() else int(row.argmax())
                entries.append(
                    {
                        "image_id": caption.image_id,
                        "sentence": caption.number,
                        "chain": phrase.chain,
                        "phrase": caption.text_of(phrase),
                        "type": PHRASE_TYPES[type_index(phrase)],
                        "first_word": phrase.first_word,
                        "region": region,
                        "box": None if region is None else boxes[region].tolist(),
                    }
                )
        return entries


def type_index(phrase: Phrase) -> int:
    """Index of a phrase's first type in `PHRASE_TYPES`; "other" for a type that the data set does not define."""
    return PHRASE_TYPES.index(phrase.types[0] if phrase.types[0] in PHRASE_TYPES else "other")


def assemble_caption(
    text: TextAssembler, words: Sequence[str], phrases: Sequence[Phrase]
) -> tuple[Assembled, list[int]]:
    """A caption as word pieces, and the position of each phrase's last sub-word (§4.4); -1 where it was cut off."""
    pieces = text.tokenizer.word_pieces(words)
    assembled = text.single(pieces.ids)
    positions = []
    for phrase in phrases:
        # By span, not by search: a phrase that stands twice has two places. Words of nothing own no piece.
        first, last = pieces.starts[phrase.first_word], pieces.ends[phrase.last_word] - 1
        positions.append(assembled.position_of("a", last) if last >= first else -1)
    return assembled, positions


@register("dataset", NAME, settings=Settings)
def build_flickr30k(config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> Flickr30k:
    """Reads one split and checks what can be checked: files, brackets, boxes, chains, features.

    Args:
        config: `dataset_config.visualbert_flickr30k`; see its yaml.
        split: train, val or test.
        processors: `text_processor`, `region_processor`, and `masking_processor` for task-specific pre-training.

    Raises:
        InputError: naming the file, the image, the caption, and the mend.
    """
    text, masking = _need(processors, "text_processor"), processors.get("masking_processor")
    settings = read_settings(Settings, config, f"dataset_config.{NAME}")
    captions, annotations = _captions_of(settings, split)
    if masking is None:
        captions = _with_phrases(captions, split)
    store = configured_store(settings, split)
    regions = ImageRegions(store, _need(processors, "region_processor"), settings.missing_regions)
    regions.check(RegionQuery(caption.image_id, caption.name) for caption in captions)
    dataset = Flickr30k(
        captions,
        annotations,
        regions,
        text,
        masking=masking,
        max_phrases=settings.max_phrases,
        repeatable=split != "train",
    )
    if masking is None:
        _report_cuts(dataset, split)
    return dataset


def _captions_of(settings: Settings, split: str) -> tuple[list[Caption], dict[str, ImageAnnotation]]:
    folder, unrelated = settings.data_dir, settings.unrelated_captions
    return read_captions(
        configured_paths(folder, settings.annotations, "annotations", split),
        folder / settings.sentences,
        folder / settings.boxes,
        split=split,
        unrelated=None if unrelated is None else folder / unrelated,
        strict=settings.strict,
    )


def _with_phrases(captions: Sequence[Caption], split: str) -> list[Caption]:
    kept = [caption for caption in captions if caption.phrases]
    if not kept:
        raise InputError(
            f"no caption of the split '{split}' has a phrase with a box; check its Sentences and Annotations"
        )
    logger.info(
        "Flickr30K %s: %d phrases in %d captions; %d captions without a phrase that has a box left out",
        split,
        sum(len(caption.phrases) for caption in kept),
        len(kept),
        len(captions) - len(kept),
    )
    return kept


def _report_cuts(dataset: Flickr30k, split: str) -> None:
    captions = dataset.captions
    room = dataset.text.max_seq_length - 2
    long = dataset.text.tokenizer.longer_than([" ".join(caption.words) for caption in captions], room)
    cut = sum(position < 0 for index in long for position in dataset.assemble(captions[index])[1])
    if long:
        logger.warning(
            "Flickr30K %s: %d captions are longer than max_seq_length %d; %d phrases stand beyond the cut and count as "
            "misses, the first of them in %s",
            split,
            len(long),
            room + 2,
            cut,
            captions[long[0]].name,
        )


def _need(processors: Mapping[str, Any], key: str) -> Any:
    if key not in processors:
        raise InputError(f"{NAME} has no {key}; name one in dataset_config.{NAME}.processors")
    return processors[key]
