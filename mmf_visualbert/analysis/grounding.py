"""Entity grounding of attention heads without any training for it (§5.2, Figure 3).

For every head and every phrase: of all regions, which one gets the most attention from the phrase? The head's weights
on words are left out of account, and how much it gives to regions at all is counted beside. The paper leaves open which
word speaks for a phrase and what counts as agreement; as in fine-tuning it is the last sub-word unless told otherwise,
and a region agrees with an IoU of at least 0.5 with any gold box. A phrase that was cut off is a miss, and so is one
that no region matches, unless such phrases are left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.analysis.attending import BASELINES, Example, Measured, Question, measure
from mmf_visualbert.analysis.intervals import Interval, Resamples, interval, margin
from mmf_visualbert.analysis.words import SPEAKERS, pieces_of, place_words, speaking
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_rows
from mmf_visualbert.modules.visual_bert import VisualBertEncoder
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k

ACTIVE = 0.2
COLUMNS = ("layer", "head", "accuracy", "attention_to_regions", "active", "low", "high")


class HeadAccuracy(NamedTuple):
    """One head: its layer and number, both from 1, and its accuracy."""

    layer: int
    head: int
    accuracy: float


class Lead(NamedTuple):
    """How far the best head is ahead of a baseline; the interval holds for all heads at once, so for the best too."""

    ahead: float
    low: float
    high: float


@dataclass(frozen=True)
class HeadAccuracies:
    """How well each head's attention finds the right regions, for one kind of question.

    Attributes:
        layers: numbers, from 1, of the L layers that see regions (without early fusion only the last does).
        accuracy: (L, heads) float64, share of the questions whose most attended region is right.
        attention_to_regions: (L, heads) float64, what the word that is asked gives to all regions, on average.
        phrases: number of questions.
        cut: those beyond the cut of the text.
        upper_bound: share of questions for which any region is right.
        baseline: accuracy of always choosing the region of the highest detection confidence; None where the feature
            store has no confidences.
        random: accuracy of choosing a region at random.
        left_out: questions that no region is right for, where such were left out.
        intervals: (2, L, heads), the 95 % interval of each head by itself; None where nothing was resampled.
        margin: how far all heads' accuracies may be off at once, at 95 %.
        baseline_interval: of `baseline`.
        lead: of the best head over `baseline`.
    """

    layers: tuple[int, ...]
    accuracy: Tensor
    attention_to_regions: Tensor
    phrases: int
    cut: int
    upper_bound: float
    baseline: float | None
    random: float | None = None
    left_out: int = 0
    intervals: Tensor | None = None
    margin: float | None = None
    baseline_interval: Interval | None = None
    lead: Lead | None = None

    def active(self, share: float = ACTIVE) -> Tensor:
        """(L, heads) bool: heads that give regions at least this share of their attention (§5.2, footnote 5)."""
        return self.attention_to_regions >= share

    def best(self, count: int = 5) -> list[HeadAccuracy]:
        """The heads of the highest accuracy, best first."""
        heads = self.accuracy.shape[1]
        order = self.accuracy.flatten().argsort(descending=True, stable=True)[:count].tolist()
        return [
            HeadAccuracy(self.layers[i // heads], i % heads + 1, float(self.accuracy[i // heads, i % heads]))
            for i in order
        ]

    def best_of_layers(self) -> list[HeadAccuracy]:
        """Of each layer the head of the highest accuracy (§5.3)."""
        return [
            HeadAccuracy(layer, int(row.argmax()) + 1, float(row.max()))
            for layer, row in zip(self.layers, self.accuracy, strict=True)
        ]

    def rows(self) -> Iterator[list[object]]:
        """One row a head, as `COLUMNS` names them; without intervals the last two are empty."""
        active = self.active()
        for row, layer in enumerate(self.layers):
            for head, accuracy in enumerate(self.accuracy[row].tolist()):
                share = f"{self.attention_to_regions[row, head]:.6f}"
                edges = ["", ""] if self.intervals is None else [f"{x:.6f}" for x in self.intervals[:, row, head]]
                yield [layer, head + 1, f"{accuracy:.6f}", share, int(active[row, head]), *edges]

    def write_csv(self, path: Path) -> None:
        """One line a head: layer, head, accuracy, attention_to_regions, active (1 or 0), low, high."""
        write_rows(path, [COLUMNS, *self.rows()])


EntityGrounding = HeadAccuracies


def ground_heads(
    visual_bert: VisualBertEncoder,
    dataset: Flickr30k,
    *,
    word: str = "last",
    leave_out_unmatched: bool = False,
    batch_size: int = 8,
    limit: int | None = None,
    resamples: int = 1000,
) -> HeadAccuracies:
    """Measures all heads of a model over a split, on the device of the model.

    Args:
        visual_bert: a pre-trained model. It is put into evaluation mode.
        dataset: phrases and regions; not one for pre-training.
        word: what speaks for a phrase: its "last" or "first" sub-word, or the "mean" or "max" of all its weights.
        leave_out_unmatched: leave out phrases that no region matches; otherwise they are misses.
        batch_size: captions at a time; the attention of all layers is held, (layers, heads, L, L) floats a caption.
        limit: use the first captions only.
        resamples: for intervals.

    Raises:
        InputError: where the dataset masks words instead of giving phrases, or no phrase is left.
    """
    if dataset.masking is not None:
        raise InputError("entity grounding needs phrases: leave masking_processor out of the dataset's configuration")
    if word not in SPEAKERS:
        raise InputError(f"the word of a phrase is '{word}'; set it to one of {', '.join(SPEAKERS)}")
    examples = (entity_example(dataset, index, word) for index in first(dataset, limit))
    try:
        measured = measure(
            visual_bert,
            examples,
            strongest=word == "max",
            leave_out_unmatched=leave_out_unmatched,
            batch_size=batch_size,
            resamples=Resamples(resamples),
        )
    except ValueError as error:
        raise InputError(f"no phrase is left to ground ({error}); check the split, or keep unmatched phrases") from None
    return accuracies(measured, 0)


def first(dataset: Flickr30k, limit: int | None) -> range:
    """The captions to use: the first `limit`, or all.

    Raises:
        InputError: for a limit that leaves none.
    """
    if limit is not None and limit < 1:
        raise InputError(f"a limit of {limit} captions leaves none; give a number from 1 up")
    return range(len(dataset) if limit is None else min(limit, len(dataset)))


def entity_example(dataset: Flickr30k, index: int, word: str = "last") -> Example:
    """A caption of which every phrase is asked for its regions."""
    caption = dataset.captions[index]
    sample = dataset[index]
    places = place_words(dataset.text, caption.words).places
    targets = sample["phrase_targets"][: len(caption.phrases)]
    questions = [
        Question(0, speaking(pieces_of(phrase, places), word), target)
        for phrase, target in zip(caption.phrases, targets, strict=True)
    ]
    return Example(caption.image_id, inputs_of(sample), questions, confidences(dataset, caption.image_id))


def inputs_of(sample: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the encoder reads of a sample."""
    names = ("input_ids", "text_mask", "text_segments", "region_features", "region_mask", "region_segments")
    return {name: sample[name] for name in names}


def confidences(dataset: Flickr30k, image_id: str) -> Tensor | None:
    """(N,) of the regions that a sample has; None where the store has none."""
    scores = dataset.regions.record(image_id).scores
    return None if scores is None else torch.tensor(scores[: dataset.regions.processor.max_regions])


def accuracies(measured: Measured, group: int) -> HeadAccuracies:
    """One group's accuracies, with their intervals."""
    count = float(measured.count[group])
    found = measured.accuracy(group)
    shares = measured.resamples.shares(group)
    heads = shares[:, :-BASELINES]
    baseline = None if measured.confident is None else float(measured.confident[group]) / count
    lead = edges = None
    if baseline is not None:
        edges = Interval(*interval(shares[:, -BASELINES : -BASELINES + 1])[:, 0].tolist())
        ahead = float(found.max()) - baseline
        allowed = margin(heads - shares[:, -BASELINES, None], found.flatten() - baseline)
        lead = Lead(ahead, ahead - allowed, ahead + allowed)
    return HeadAccuracies(
        layers=measured.layers,
        accuracy=found,
        attention_to_regions=measured.attention_to_regions(group),
        phrases=int(count),
        cut=int(measured.cut[group]),
        upper_bound=float(measured.matched[group]) / count,
        baseline=baseline,
        random=float(measured.random[group]) / count,
        left_out=measured.left_out,
        intervals=interval(heads).view(2, *found.shape),
        margin=margin(heads, found.flatten()),
        baseline_interval=edges,
        lead=lead,
    )


def table(result: HeadAccuracies, heads: Sequence[HeadAccuracy]) -> str:
    """What a reader wants to know first, in lines."""
    lines = [
        f"phrases                    {result.phrases} ({result.cut} cut off)",
        f"upper bound                {100 * result.upper_bound:.2f}",
        f"most confident region      {baseline_text(result)}",
    ]
    if result.left_out:
        lines.insert(1, f"left out, no match         {result.left_out}")
    if result.random is not None:
        lines.append(f"region at random           {100 * result.random:.2f}")
    if result.lead is not None:
        ahead, low, high = (100 * x for x in result.lead)
        lines.append(f"best head ahead of it by   {ahead:.2f} ({low:.2f} to {high:.2f}, for all heads at once)")
    lines.append("layer head  accuracy  attention to regions")
    for layer, head, accuracy in heads:
        row = result.layers.index(layer)
        share = 100 * float(result.attention_to_regions[row, head - 1])
        line = f"{layer:5d} {head:4d}  {100 * accuracy:8.2f}  {share:6.1f} %{' *' * (share < 100 * ACTIVE)}"
        if result.intervals is not None:
            low, high = (100 * x for x in result.intervals[:, row, head - 1].tolist())
            line = f"{line:38s}({low:.2f} to {high:.2f})"
        lines.append(line)
    return "\n".join([*lines, f"* gives regions less than {ACTIVE:.0%} of its attention"])


def baseline_text(result: HeadAccuracies) -> str:
    """The most confident region's accuracy, with its interval."""
    if result.baseline is None:
        return "no confidences in the feature store"
    if result.baseline_interval is None:
        return f"{100 * result.baseline:.2f}"
    low, high = (100 * x for x in result.baseline_interval)
    return f"{100 * result.baseline:.2f} ({low:.2f} to {high:.2f})"
