"""VQA 2.0: the answer to a question about an image (§4.1, Appendix A).

    fine-tuning    [CLS] question ? [MASK] [SEP] + 100 regions; the state at [MASK] is classified
    pre-training   [CLS] question ? answer [SEP] + 100 regions; masked language modeling with the image, given a
                   `masking_processor` (§3.3, task-specific pre-training)

The question mark is put where the question has none, as in the authors' code.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
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
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.text import Assembled, TextAssembler
from mmf_visualbert.tasks.vqa2.answers import AnswerVocabulary
from mmf_visualbert.tasks.vqa2.metrics import best_answer
from mmf_visualbert.tasks.vqa2.records import VQA2Questions, read_annotations, read_questions
from mmf_visualbert.tasks.vqa2.settings import Settings

logger = logging.getLogger(__name__)

NAME = "visualbert_vqa2"


class VQA2:
    """Questions, their regions and answers as samples.

    Args:
        questions: the records.
        text: puts the special tokens.
        regions: where the images' regions come from; None: text alone.
        vocabulary: what is answered from; without it the samples have no `targets` and there are no predictions.
        masking: hides word pieces: the objective is masked language modeling, and the answer is part of the text.
        official_scores: `targets` are exactly what the official evaluation would give (for val and test), which leaves
            a few unanimous answers without a target that training can use (see `AnswerVocabulary.targets`).
        repeatable: draw the same answer and masks at every visit of a sample (for validation).
    """

    def __init__(
        self,
        questions: VQA2Questions,
        text: TextAssembler,
        regions: ImageRegions | None = None,
        *,
        vocabulary: AnswerVocabulary | None = None,
        masking: MaskedLanguageModeling | None = None,
        official_scores: bool = False,
        repeatable: bool = False,
    ) -> None:
        self.questions = questions
        self.text = text
        self.regions = regions
        self.vocabulary = vocabulary
        self.masking = masking
        self.official_scores = official_scores
        self.repeatable = repeatable
        self._report_cuts()

    @property
    def answers(self) -> list[str] | None:
        """The vocabulary, in the order of the head's outputs."""
        return None if self.vocabulary is None else self.vocabulary.answers

    @property
    def facts(self) -> DatasetFacts:
        """Its size, its vocabulary of word pieces, and its answers."""
        return DatasetFacts(len(self), self.text.tokenizer.vocab_size, self.answers, self.lengths)

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One sample.

        Always `id` (), the text's and the regions' tensors. Fine-tuning: `answer_position` () int64, where [MASK]
        stands; with annotations `targets` (N,) float32, a score for each answer, and `answer_types` () int64. Masked
        language modeling: `masked_lm_labels` (T,) int64, and the same again as `targets`.
        """
        record = self.questions[index]
        sample = {"id": torch.tensor(index)}
        if self.regions is not None:
            sample |= self.regions.tensors(RegionQuery(record.image_name, self.questions.name(index)))
        if self.masking is not None:
            with repeatable_draws(index if self.repeatable else None):
                assembled = self.assemble(record.question, _drawn(record.answers))
                masked = self.masking(assembled)
            sample |= assembled.tensors()
            sample["input_ids"], sample["masked_lm_labels"] = masked
            sample["targets"] = sample["masked_lm_labels"]
            return sample
        assembled = self.assemble(record.question)
        sample |= assembled.tensors()
        sample["answer_position"] = torch.tensor(assembled.length - 2)
        annotations = self.questions.annotations
        if self.vocabulary is not None and annotations is not None and record.answers is not None:
            sample["targets"] = self.vocabulary.targets(record.answers, official=self.official_scores)
            sample["answer_types"] = torch.tensor(int(annotations.types[index]))
        return sample

    def lengths(self) -> np.ndarray:
        """Tokens of each sample (N,); of a pre-training text with the longest of the answers that it is drawn of."""
        special = 2 + len(self.text.tokenizer.question_mark_ids) + (self.masking is None)
        longest = (self._longest(index) for index in range(len(self)))
        texts = (question.rstrip().removesuffix("?") + f" {answer or ''}" for question, answer in longest)
        lengths = text_lengths(self.text, texts, special)
        if self.regions is None:
            return lengths
        names = enumerate(self.questions.image_names)
        return lengths + region_counts(self.regions, (RegionQuery(name, f"question {row}") for row, name in names))

    def assemble(self, question: str, answer: str | None = None) -> Assembled:
        """[CLS] question ? [MASK] [SEP]; with a masking processor [CLS] question ? answer [SEP], or without the answer
        where there is none (the test splits). Of a question too long the end is cut, never what follows it."""
        if self.masking is None:
            return assemble_question(self.text, question, [self.text.tokenizer.mask_id])
        return assemble_question(self.text, question, [] if answer is None else self.text.tokenizer.pieces(answer))

    def predictions(self, output: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """Entries of the leaderboard's file: `{"question_id": 42, "answer": "yes"}`, never `<unk>`.

        Args:
            output: `id` (B,) and `scores` (B, N) of one batch.

        Raises:
            InputError: without an answer vocabulary, or with one unlike the scores.
        """
        if self.vocabulary is None or "scores" not in output:
            raise InputError(
                "there are no answers to write down: the run has no answer vocabulary or no answer head; predict with "
                "the configuration of fine-tuning, which has the answer_processor and the head visualbert_answer"
            )
        scores = torch.as_tensor(output["scores"])
        if scores.shape[-1] != len(self.vocabulary):
            raise InputError(
                f"the model scores {scores.shape[-1]} answers and the vocabulary has {len(self.vocabulary)}; give the "
                "vocabulary that the checkpoint was trained with to the answer_processor"
            )
        best = best_answer(scores, self.vocabulary.unknown_index).tolist()
        ids = torch.as_tensor(output["id"]).flatten().tolist()
        question_ids = self.questions.question_ids
        return [
            {"question_id": int(question_ids[index]), "answer": self.vocabulary.answers[answer]}
            for index, answer in zip(ids, best, strict=True)
        ]

    def _report_cuts(self) -> None:
        cut = [index for index in self._long_questions() if self.assemble(*self._longest(index)).cut]
        if cut:
            logger.warning(
                "%d of %d questions do not fit into %d word pieces and are cut at their end; the first is %s",
                len(cut),
                len(self),
                self.text.max_seq_length,
                self.questions.name(cut[0]),
            )

    def _longest(self, index: int) -> tuple[str, str | None]:
        record = self.questions[index]
        return record.question, max(record.answers, key=len) if self.masking and record.answers else None

    def _long_questions(self) -> list[int]:
        """Questions so long that they may have more pieces than there is room for."""
        longest = self.text.tokenizer.longest_decomposition
        pieces = self.questions.texts.most_pieces(longest)
        annotations = self.questions.annotations
        if self.masking is not None and annotations is not None:
            pieces = pieces + annotations.table.most_pieces(longest)[annotations.answers].max(axis=1)
        return np.flatnonzero(pieces > self.text.max_seq_length - 4).tolist()


def assemble_question(text: TextAssembler, question: str, after: Sequence[int]) -> Assembled:
    """[CLS] question ? after [SEP]; the question mark is put where there is none (Appendix A).

    Args:
        text: assembles.
        question: in words.
        after: word pieces that follow the question mark; they are never cut.
    """
    return text.question(question.rstrip().removesuffix("?"), [*text.tokenizer.question_mark_ids, *after])


def _drawn(answers: tuple[str, ...] | None) -> str | None:
    """One annotator's answer at random: each is correct by the official measure, the frequent ones are drawn often."""
    return answers[int(torch.randint(len(answers), ()))] if answers else None


@register("dataset", NAME, settings=Settings)
def build_vqa2(config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> VQA2:
    """One split of VQA 2.0 after `dataset_config.visualbert_vqa2`.

    Args:
        config: the section, resolved.
        split: train, val or test; only test may be without annotations.
        processors: `text_processor`, `region_processor`, and `answer_processor` for fine-tuning or `masking_processor`
            for pre-training.

    Raises:
        InputError: whatever is wrong with the files, the records or the features.
    """
    settings = read_settings(Settings, config, f"dataset_config.{NAME}")
    questions = read_questions(_annotations(settings, split), labelled=split != "test")
    regions = None
    if settings.use_regions:
        store = configured_store(settings, split)
        regions = ImageRegions(store, processors["region_processor"], settings.missing_regions)
        regions.check(_images(questions))
    masking = processors.get("masking_processor")
    vocabulary = None
    if masking is None and processors.get("answer_processor") is not None:
        vocabulary = processors["answer_processor"].vocabulary(lambda: _train_answers(settings, split, questions))
    return VQA2(
        questions,
        processors["text_processor"],
        regions,
        vocabulary=vocabulary,
        masking=masking,
        official_scores=split != "train",
        repeatable=split != "train",
    )


def _images(questions: VQA2Questions) -> Iterator[RegionQuery]:
    """Each image once, asked for by the first question about it."""
    first = questions.image_names.first_places()
    return map(RegionQuery, first, questions.names(list(first.values())))


def _annotations(settings: Settings, split: str) -> list[Path]:
    return configured_paths(settings.data_dir, settings.annotations, "annotations", split)


def _train_answers(settings: Settings, split: str, questions: VQA2Questions) -> Counter[str]:
    """How often each answer is the majority answer of a training question."""
    if split == "train" and questions.annotations is not None:
        return questions.annotations.majority_counts()
    try:
        return read_annotations(_annotations(settings, "train")).majority_counts()
    except InputError as error:
        raise InputError(
            f"the answer vocabulary cannot be built from the training annotations ({error}), or give the file of the "
            "answers in processors.answer_processor.params.vocabulary"
        ) from error
