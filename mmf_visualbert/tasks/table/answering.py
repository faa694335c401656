"""A table of questions and answers: `[CLS] question ? [MASK] [SEP]` + regions; the state at [MASK] is classified (§4.1,
Appendix A). Targets follow from however many answers a question has.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmf_visualbert.contracts import DatasetFacts, Sample
from mmf_visualbert.tasks.table.records import Table
from mmf_visualbert.tasks.table.rows import Rows
from mmf_visualbert.tasks.vqa2.answers import AnswerVocabulary, normalize_answer
from mmf_visualbert.tasks.vqa2.dataset import assemble_question
from mmf_visualbert.tasks.vqa2.metrics import best_answer


class AnswersDataset:
    """One sample for each question.

    Args:
        rows: the questions; a row's label is the list of its answers.
        vocabulary: what is answered from; None for masked language modeling.
        official: targets are exactly what VQA's evaluation would give (for val and test).
    """

    def __init__(self, rows: Rows, vocabulary: AnswerVocabulary | None, official: bool = False) -> None:
        self.rows, self.vocabulary, self.official = rows, vocabulary, official
        rows.check()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def facts(self) -> DatasetFacts:
        """Its size, its word pieces, and its answers."""
        return self.rows.facts(None if self.vocabulary is None else self.vocabulary.answers)

    def __getitem__(self, index: int) -> Sample:
        """`id` (), the text's and the regions' tensors, `answer_position` (); where answers are known `targets` (N,).

        With masking `[CLS] question ? answer [SEP]`, one of the answers drawn, and `masked_lm_labels` (T,).
        """
        example = self.rows[index]
        sample, text = self.rows.beginning(index, example), self.rows.text
        if self.rows.masking is not None or self.vocabulary is None:
            answers = example.label or []
            drawn = [] if not answers else text.tokenizer.pieces(answers[int(torch.randint(len(answers), ()))])
            return sample | self.rows.hidden(index, assemble_question(text, example.texts[0], drawn))
        assembled = assemble_question(text, example.texts[0], [text.tokenizer.mask_id])
        sample |= {**assembled.tensors(), "answer_position": torch.tensor(assembled.length - 2)}
        if example.label is not None:
            sample["targets"] = self.vocabulary.targets(example.label, official=self.official)
        return sample

    def predictions(self, output: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """One entry a question: `id`, `answer`, `probability`; never `<unk>`.

        Args:
            output: `id` (B,) and `scores` (B, N) logits.
        """
        assert self.vocabulary is not None
        scores = output["scores"].detach().float().cpu()
        best = best_answer(scores, self.vocabulary.unknown_index)
        probabilities = scores.softmax(-1).gather(1, best[:, None])[:, 0]
        return [
            {"id": self.rows.id_of(index), "answer": self.vocabulary.answers[answer], "probability": probability}
            for index, answer, probability in zip(
                output["id"].tolist(), best.tolist(), probabilities.tolist(), strict=True
            )
        ]


def majority_answers(table: Table) -> Counter[str]:
    """How many questions have each answer as their most frequent one, normalised: what the vocabulary is made of."""
    counts: Counter[str] = Counter()
    for answers, count, _ in table.first_of_label():
        given = [normalize_answer(answer) for answer in answers]
        counts[max(given, key=given.count)] += count
    return counts
