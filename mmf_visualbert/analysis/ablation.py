"""What a model takes from the other modality (Frank et al. 2021), before any fine-tuning.

Language from vision: the words of a phrase are masked and predicted with all regions, with the phrase's own alone (IoU
of at least 0.5 with a gold box), with all but its own, and with none. Vision from language: which of two images does a
caption describe, its own or another one? The sentence-image head says, of the caption as it is, with the words of its
phrases masked, and with all words masked. Both are only asked where a phrase has a region of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.analysis.grounding import first
from mmf_visualbert.analysis.intervals import Interval, Resamples, interval
from mmf_visualbert.analysis.words import pieces_of, place_words
from mmf_visualbert.contracts import Sample
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_rows
from mmf_visualbert.runs import LoadedModel
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k

MASKED_LM, SENTENCE_IMAGE = "visualbert_masked_lm", "visualbert_sentence_image"
REGIONS = ("all", "own", "others", "none")
WORDS = ("all", "phrases masked", "all masked")


class Measure(NamedTuple):
    """A share, 0..1, with its interval over images, and how many things it is of."""

    share: float
    interval: Interval
    number: int


class Gain(NamedTuple):
    """How much one condition is ahead of another, with its interval."""

    ahead: float
    interval: Interval


@dataclass(frozen=True)
class Ablation:
    """What was found.

    Attributes:
        language: by which regions are read, the share of masked word pieces that is predicted; empty without the head.
        from_vision: what all regions, and the phrase's own, add to none.
        vision: by which words are read, the share of captions that choose their own image; empty without the head.
        from_language: what all words, and those beside the phrases, add to none.
    """

    language: dict[str, Measure]
    from_vision: dict[str, Gain]
    vision: dict[str, Measure]
    from_language: dict[str, Gain]

    def write_csv(self, path: Path) -> None:
        """One line a condition."""
        rows: list[Sequence[object]] = [("what", "read", "share", "low", "high", "count")]
        for what, measures in (("words from regions", self.language), ("image from words", self.vision)):
            rows += [(what, name, one.share, *one.interval, one.number) for name, one in measures.items()]
        write_rows(path, rows)


def ablate(
    model: LoadedModel, dataset: Flickr30k, *, limit: int | None = None, batch_size: int = 32, resamples: int = 1000
) -> Ablation:
    """Measures a pre-trained model on captions with phrases.

    Args:
        model: with the heads of pre-training, or one of them.
        dataset: phrases and regions; not one for pre-training.
        limit: use the first captions only.
        batch_size: texts at a time.
        resamples: for intervals.

    Raises:
        InputError: for a model with neither head, or data without phrases that a region matches.
    """
    if dataset.masking is not None:
        raise InputError("ablation needs phrases: leave masking_processor out of the dataset's configuration")
    heads = model.parts.heads
    if MASKED_LM not in heads and SENTENCE_IMAGE not in heads:
        raise InputError(
            f"ablation needs {MASKED_LM} or {SENTENCE_IMAGE}, and this model has {', '.join(heads)}; name a checkpoint "
            "of pre-training"
        )
    captions = [index for index in first(dataset, limit) if bool(dataset[index]["phrase_targets"].any())]
    if not captions:
        raise InputError("no phrase of these captions has a region of its own; check the features, or raise --limit")
    language, from_vision = (
        _language(model, dataset, captions, batch_size, resamples) if MASKED_LM in heads else ({}, {})
    )
    vision, from_language = (
        _vision(model, dataset, captions, batch_size, resamples) if SENTENCE_IMAGE in heads else ({}, {})
    )
    return Ablation(language, from_vision, vision, from_language)


def _language(
    model: LoadedModel, dataset: Flickr30k, captions: Sequence[int], batch_size: int, resamples: int
) -> tuple[dict[str, Measure], dict[str, Gain]]:
    drawn, total = Resamples(resamples), torch.zeros(len(REGIONS) + 1, dtype=torch.float64)
    for index in captions:
        asked = list(masked_phrases(model, dataset, index))
        samples = [sample for several in asked for sample in several]
        outputs = model.run(MASKED_LM, samples, batch_size)
        for start in range(0, len(samples), len(REGIONS)):
            several = outputs[start : start + len(REGIONS)]
            row = [float(one.masked_lm_correct) for one in several] + [float(several[0].masked_lm_count)]
            values = torch.tensor(row, dtype=torch.float64)
            drawn.add([dataset.captions[index].image_id], values[None, None])
            total += values
    return _measures(REGIONS, total, drawn), _gains(REGIONS, total, drawn, "none")


def masked_phrases(model: LoadedModel, dataset: Flickr30k, index: int) -> Iterator[list[Sample]]:
    """Of every phrase with a region of its own: its words masked, with each of `REGIONS`."""
    caption, sample = dataset.captions[index], dataset[index]
    places = place_words(model.text, caption.words).places
    read = ("input_ids", "text_mask", "text_segments", "region_features", "region_mask", "region_segments")
    plain = {name: sample[name] for name in read}
    for phrase, targets in zip(caption.phrases, sample["phrase_targets"], strict=False):
        pieces = torch.tensor([piece for piece in pieces_of(phrase, places) if piece >= 0], dtype=torch.int64)
        if not len(pieces) or not bool(targets.any()):
            continue
        hidden = hide(plain, pieces, model.text.tokenizer.mask_id)
        mask = plain["region_mask"]
        kept = {"all": mask, "own": mask & targets, "others": mask & ~targets, "none": torch.zeros_like(mask)}
        yield [{**hidden, "region_mask": kept[name]} for name in REGIONS]


def hide(sample: Sample, pieces: Tensor, mask_id: int) -> Sample:
    """A sample with some of its word pieces masked, and their ids as `masked_lm_labels`."""
    ids = sample["input_ids"]
    labels = torch.full_like(ids, -1).index_copy(0, pieces, ids[pieces])
    return {**sample, "input_ids": ids.index_fill(0, pieces, mask_id), "masked_lm_labels": labels}


def _vision(
    model: LoadedModel, dataset: Flickr30k, captions: Sequence[int], batch_size: int, resamples: int
) -> tuple[dict[str, Measure], dict[str, Gain]]:
    drawn, total = Resamples(resamples), torch.zeros(len(WORDS) + 1, dtype=torch.float64)
    for index in captions:
        other = other_image(dataset, index)
        if other is None:
            continue
        pairs = list(two_images(model, dataset, index, other))
        outputs = model.run(SENTENCE_IMAGE, [sample for pair in pairs for sample in pair], batch_size)
        scores = [float(one.sentence_image_logits[0, 1] - one.sentence_image_logits[0, 0]) for one in outputs]
        row = [float(scores[place] > scores[place + 1]) for place in range(0, len(scores), 2)]
        values = torch.tensor([*row, 1.0], dtype=torch.float64)
        drawn.add([dataset.captions[index].image_id], values[None, None])
        total += values
    if not total[-1]:
        raise InputError("a caption has to choose between two images, and these have one; raise --limit")
    return _measures(WORDS, total, drawn), _gains(WORDS, total, drawn, "all masked")


def other_image(dataset: Flickr30k, index: int) -> int | None:
    """A caption of another image: the next one's; None where there is one image alone."""
    own = dataset.captions[index].image_id
    for step in range(1, len(dataset)):
        place = (index + step) % len(dataset)
        if dataset.captions[place].image_id != own:
            return place
    return None


def two_images(model: LoadedModel, dataset: Flickr30k, index: int, other: int) -> Iterator[tuple[Sample, Sample]]:
    """A caption with its own regions and with another image's, with each of `WORDS`."""
    caption, sample, strange = dataset.captions[index], dataset[index], dataset[other]
    places = place_words(model.text, caption.words).places
    text = {name: sample[name] for name in ("input_ids", "text_mask", "text_segments")}
    names = ("region_features", "region_mask", "region_segments")
    own, foreign = ({name: each[name] for name in names} for each in (sample, strange))
    phrases = [piece for phrase in caption.phrases for piece in pieces_of(phrase, places) if piece >= 0]
    words = [piece for word in places for piece in word if piece >= 0]
    for away in ([], phrases, words):
        pieces = torch.tensor(away, dtype=torch.int64)
        ids = text["input_ids"].index_fill(0, pieces, model.text.tokenizer.mask_id)
        yield {**text, **own, "input_ids": ids}, {**text, **foreign, "input_ids": ids}


def _measures(names: Sequence[str], total: Tensor, drawn: Resamples) -> dict[str, Measure]:
    edges = interval(drawn.shares(0))
    count = int(total[-1])
    return {
        name: Measure(float(total[place]) / count, Interval(*edges[:, place].tolist()), count)
        for place, name in enumerate(names)
    }


def _gains(names: Sequence[str], total: Tensor, drawn: Resamples, least: str) -> dict[str, Gain]:
    shares, base = drawn.shares(0), names.index(least)
    found = {}
    for place, name in enumerate(names):
        if name != least:
            low, high = interval((shares[:, place] - shares[:, base])[:, None])[:, 0].tolist()
            found[name] = Gain(float((total[place] - total[base]) / total[-1]), Interval(low, high))
    return found


def table(result: Ablation) -> str:
    """Both directions, in lines."""
    lines = []
    for title, measures, gains in (
        ("words from regions: masked word pieces of a phrase that are predicted", result.language, result.from_vision),
        ("image from words: captions that choose their own image of two", result.vision, result.from_language),
    ):
        if not measures:
            lines.append(f"{title}: not measured, this model has no such head")
            continue
        lines.append(f"{title}, of {next(iter(measures.values())).number}")
        for name, one in measures.items():
            low, high = (100 * x for x in one.interval)
            line = f"  {name:15s} {100 * one.share:6.2f} ({low:.2f} to {high:.2f})"
            if name in gains:
                ahead, (low, high) = gains[name]
                line = f"{line:44s} adds {100 * ahead:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
            lines.append(line)
    return "\n".join(lines)
