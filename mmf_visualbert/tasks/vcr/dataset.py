"""Visual Commonsense Reasoning: Q→A, QA→R, and task-specific pre-training on both (§4.2, Appendix B)."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import DatasetFacts, RegionSource
from mmf_visualbert.datasets.draws import repeatable_draws
from mmf_visualbert.datasets.lengths import text_lengths
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.tasks.vcr.conditions import Condition, answer_condition
from mmf_visualbert.tasks.vcr.missing import refuse_or_count
from mmf_visualbert.tasks.vcr.names import NO_OBJECT
from mmf_visualbert.tasks.vcr.objects import mentioned_objects, most_mentions
from mmf_visualbert.tasks.vcr.ontology import OBJECT_NAMES
from mmf_visualbert.tasks.vcr.predictions import ANSWER_COLUMNS
from mmf_visualbert.tasks.vcr.records import CHOICES, Tokens, VcrAnnotations, VcrRecord
from mmf_visualbert.tasks.vcr.regions import FrameRegions, StoredRegions
from mmf_visualbert.tasks.vcr.sequences import ChoiceSequence, ChoiceSequences, alignment_tensor
from mmf_visualbert.tasks.vcr.settings import Settings

NAME = "visualbert_vcr"
MODES = ("answer", "rationale", "both")


class Choices(NamedTuple):
    """Four sequences that share their first segment.

    Attributes:
        context: tokens of the first segment.
        choices: tokens of the second segments.
        label: index of the right one; None where it is not known.
    """

    context: Tokens
    choices: list[Tokens]
    label: int | None


class SplitFacts(NamedTuple):
    """What all records of a split have in common, so that samples have one shape.

    Attributes:
        regions: the most regions of any record, the whole image counted.
        aligned: a bound on the word pieces that refer to one region in one sequence.
        labelled: whether records have labels.
        without: the records whose regions cannot be had, and what is wrong with each.
    """

    regions: int
    aligned: int
    labelled: bool
    without: Mapping[int, InputError] = MappingProxyType({})


class VCR:
    """One sample a question: its frame's regions and C sequences, each of which has its own alignment.

    Args:
        annotations: the records.
        sequences: assembles the texts.
        regions: gives the regions of a frame.
        facts: of `survey_split`.
        mode: `answer` (Q→A, C = 4), `rationale` (QA→R, C = 4, or 16 where all four answers are conditioned on), `both`
            (C = 8, with the right answer; for task-specific pre-training).
        condition: the answers that rationales are conditioned on.
        masking: hides word pieces: task-specific pre-training with masked language modeling and "is this choice
            correct?" instead of the choice among four.
        sequences_per_sample: C in pre-training; a question then makes several samples where it is smaller.
        repeatable: draw the same masks at every visit of a sample (for validation).

    Raises:
        InputError: for settings that contradict each other.
    """

    def __init__(
        self,
        annotations: VcrAnnotations,
        sequences: ChoiceSequences,
        regions: RegionSource,
        facts: SplitFacts,
        *,
        mode: str,
        condition: Condition,
        masking: MaskedLanguageModeling | None = None,
        sequences_per_sample: int | None = None,
        repeatable: bool = False,
    ) -> None:
        if mode not in MODES:
            raise InputError(f"mode is '{mode}'; set it to one of {', '.join(MODES)}")
        if mode == "both" and masking is None:
            raise InputError(
                "mode 'both' is for pre-training: configure processors.masking_processor, or choose one task"
            )
        self.annotations = annotations
        self.sequences = sequences
        self.regions = regions
        self.split_facts = facts
        self.mode = mode
        self.condition = condition
        self.masking = masking
        self.repeatable = repeatable
        total = {"answer": 0, "rationale": len(condition.columns), "both": len(condition.columns)}[mode]
        total += CHOICES if mode != "rationale" else 0
        self.choices_per_sample = sequences_per_sample or total
        if total % self.choices_per_sample or (masking is None and self.choices_per_sample != total):
            raise InputError(
                f"sequences_per_sample is {sequences_per_sample}, but a question has {total} sequences in mode '{mode}'"
                "; set it to null, or in pre-training to a divisor"
            )
        self.samples_per_record = total // self.choices_per_sample

    def __len__(self) -> int:
        return len(self.annotations) * self.samples_per_record

    @property
    def facts(self) -> DatasetFacts:
        """Its size and vocabulary."""
        return DatasetFacts(len(self), self.sequences.assembler.tokenizer.vocab_size, lengths=self.lengths)

    def lengths(self) -> np.ndarray:
        """Tokens of all sequences of each sample (N,)."""
        assembler = self.sequences.assembler
        texts = (text for record in self.annotations for text in self._segments(record))
        pieces = text_lengths(assembler, texts, special=0).reshape(len(self.annotations), -1, 1 + CHOICES)
        sequences = np.minimum(pieces[:, :, :1] + pieces[:, :, 1:] + 3, assembler.max_seq_length)
        regions = [self.regions.count(record.query(mentioned_objects(record))) for record in self.annotations]
        of_sample = sequences.reshape(len(self), self.choices_per_sample).sum(axis=1)
        return of_sample + np.repeat(regions, self.samples_per_record) * self.choices_per_sample

    def _segments(self, record: VcrRecord) -> Iterator[str]:
        """The first segment of each group of four sequences, followed by their second ones."""
        for group in self.groups(record):
            context = self.sequences.spell(group.context, record.objects)
            yield " ".join(context.words)
            for choice in group.choices:
                yield " ".join(self.sequences.spell(choice, record.objects, context.names).words)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Sample `index`.

        Returns:
            `id` (); `input_ids`, `text_mask`, `text_segments` (C, T); `alignment` (C, R, A); what the region source
            gives, (R, ...); where labels are known, `targets` (), the right choice. With masking `masked_lm_labels`
            (C, T), and `sentence_image_labels` and `targets` (C,), 1 for the right choice.
        """
        position, part = divmod(index, self.samples_per_record)
        record = self.annotations[position]
        chosen = mentioned_objects(record)
        wanted = range(part * self.choices_per_sample, (part + 1) * self.choices_per_sample)
        sequences: list[ChoiceSequence] = []
        right: list[bool | None] = []
        for number, group in enumerate(self.groups(record)):
            picked = [choice for choice in range(CHOICES) if number * CHOICES + choice in wanted]
            if picked:
                choices = [group.choices[choice] for choice in picked]
                sequences += self.sequences(group.context, choices, record.objects)
                right += [None if group.label is None else group.label == choice for choice in picked]
        sample = {"id": torch.tensor(index), **self._text(index, sequences)}
        regions = [NO_OBJECT, *chosen]
        shape = (self.split_facts.regions, self.split_facts.aligned)
        sample["alignment"] = torch.stack([alignment_tensor(each.positions, regions, shape) for each in sequences])
        sample |= self._labels(right, sample)
        sample |= self.regions.tensors(record.query(chosen), self.split_facts.regions)
        return sample

    def groups(self, record: VcrRecord) -> list[Choices]:
        """What the sequences of a record are made of, four by four."""
        groups = []
        if self.mode in ("answer", "both"):
            groups.append(Choices(record.question, record.answers, record.answer_label))
        if self.mode in ("rationale", "both"):
            label = record.rationale_label if self.condition.is_gold else None
            for answer in self.condition.answers(record):
                groups.append(Choices([*record.question, *record.answers[answer]], record.rationales, label))
        return groups

    def _text(self, index: int, sequences: Sequence[ChoiceSequence]) -> dict[str, Tensor]:
        tensors = [sequence.assembled.tensors() for sequence in sequences]
        if self.masking is not None:
            with repeatable_draws(index if self.repeatable else None):
                for text, sequence in zip(tensors, sequences, strict=True):
                    text |= self.masking(sequence.assembled)._asdict()
        return {name: torch.stack([text[name] for text in tensors]) for name in tensors[0]}

    def _labels(self, right: Sequence[bool | None], sample: Mapping[str, Tensor]) -> dict[str, Tensor]:
        known = None not in right
        if self.masking is not None:
            correct = {"sentence_image_labels": torch.tensor(right, dtype=torch.int64)} if known else {}
            return {**correct, "targets": correct.get("sentence_image_labels", sample["masked_lm_labels"])}
        return {"targets": torch.tensor(right.index(True))} if known else {}

    def predictions(self, output: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Probabilities of a batch's choices, in the leaderboard's columns where the answer is fixed.

        Args:
            output: `id` (B,) and `scores` (B, C) logits; each four of C are choices among each other.
        """
        columns = ANSWER_COLUMNS if self.mode == "answer" else self.condition.columns
        scores = output["scores"].detach().float().cpu()
        probabilities = scores.unflatten(1, (-1, CHOICES)).softmax(dim=-1).flatten(1).tolist()
        return [
            {"annot_id": self.annotations[index].annot_id, **dict(zip(columns, row, strict=True))}
            for index, row in zip(output["id"].tolist(), probabilities, strict=True)
        ]


def survey_split(annotations: VcrAnnotations, regions: RegionSource, sequences: ChoiceSequences) -> SplitFacts:
    """Checks every record and its frame, and finds the shapes of the split's samples.

    Raises:
        InputError: for a record that cannot be used, an annot_id that stands there twice, or labels that some records
            have and others lack.
    """
    pieces = sequences.pieces_of_names(OBJECT_NAMES)
    seen: set[str] = set()
    most_regions, most_aligned = 1, 1
    labels: dict[bool, str] = {}
    without: dict[int, InputError] = {}
    for number, record in enumerate(annotations):
        if record.annot_id in seen:
            raise InputError(f"{record.where} stands in the annotations twice; remove one")
        seen.add(record.annot_id)
        try:
            regions.check([record.query()])
        except InputError as error:
            without[number] = error
            continue
        labels.setdefault(record.answer_label is not None and record.rationale_label is not None, record.where)
        most_regions = max(most_regions, 1 + len(mentioned_objects(record)))
        for index, count in most_mentions(record).items():
            most_aligned = max(most_aligned, count * pieces[record.objects[index]])
    if len(labels) > 1:
        raise InputError(
            f"{labels[False]} has no labels, but other records have; give labels to all records or to none"
        )
    most_aligned = min(most_aligned, sequences.assembler.max_seq_length - 3)
    return SplitFacts(most_regions, most_aligned, True in labels, without)


@register("dataset", NAME, settings=Settings)
def build_vcr(config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> VCR:
    """VCR as configured: see `configs/datasets/vcr.yaml`.

    Raises:
        InputError: for faulty annotations, frames or settings.
    """
    settings = read_settings(Settings, config, f"dataset_config.{NAME}")
    paths = configured_paths(settings.data_dir, settings.annotations, "annotations", split)
    annotations = VcrAnnotations(paths, labels_required=split != "test")
    sequences = ChoiceSequences(processors["text_processor"], settings.names, settings.sub_words)
    regions = _region_source(settings, split)
    facts = survey_split(annotations, regions, sequences)
    if facts.without:
        errors = list(facts.without.values())
        refuse_or_count(settings.missing_regions, errors, len(annotations), f"questions of VCR's {split}")
        annotations.leave_out(facts.without)
    most = settings.max_regions
    if most is not None and most < facts.regions:
        raise InputError(
            f"the split '{split}' has a record with {facts.regions} regions, but max_regions is {most}; raise it, or "
            "set it to null"
        )
    answer_label = settings.answer_label.of(split)
    if split == "train" and answer_label is not None:
        raise InputError("answer_label.train has to be null: rationales are trained with the right answer (Appendix B)")
    condition = answer_condition(answer_label, facts.labelled, settings.data_dir)
    if condition.predicted is not None:
        for record in annotations:
            condition.answers(record)
    return VCR(
        annotations,
        sequences,
        regions,
        facts._replace(regions=most or facts.regions),
        mode=settings.mode,
        condition=condition,
        masking=processors.get("masking_processor"),
        sequences_per_sample=settings.sequences_per_sample if facts.labelled else None,
        repeatable=split != "train",
    )


def _region_source(settings: Settings, split: str) -> RegionSource:
    """Frames, or, where `features` names a store for the split, precomputed features."""
    if settings.features.of(split):
        return StoredRegions(configured_store(settings, split))
    return FrameRegions(
        settings.data_dir / settings.images,
        settings.image_size,
        random_offset=split == "train" and settings.random_offset,
        check_metadata=settings.check_metadata,
    )
