"""The answer to a question, read at [MASK], Appendix A.

Shapes: B batch, H hidden size, N answers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import Head, HeadWeights, ModelFacts
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.inputs import Encoded
from mmf_visualbert.tasks.vqa2.answers import unknown_index
from mmf_visualbert.tasks.vqa2.metrics import answer_accuracy


class AnswerOutput(NamedTuple):
    """Scores, and what the metrics read.

    Attributes:
        scores: (B, N), logits of the answers.
        answer_accuracy: (B,) float, what the batch's `targets` give the best answer; None without targets.
    """

    scores: Tensor
    answer_accuracy: Tensor | None = None


@register("head", "visualbert_answer")
class AnswerHead(Head):
    """Dropout and one linear map of the state at [MASK] after the question (Appendix A), as in the authors' code.

    The answers that the rows of the map stand for are kept in the checkpoint: they are handed over once with
    `answers` or `set_answers`, or come with the checkpoint, and a checkpoint with others is refused.

    Args:
        hidden_size: H.
        num_labels: N.
        dropout: probability of dropping an element of the state.
        answers: the N answers in the order of the labels.
    """

    needs_pooler: ClassVar[bool] = False

    def __init__(
        self, *, hidden_size: int, num_labels: int, dropout: float = 0.1, answers: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, num_labels)
        self.answers: list[str] = []
        if answers is not None:
            self.set_answers(answers)

    @classmethod
    def fitted(cls, model: ModelFacts) -> dict[str, Any]:
        """The encoder's size, the configuration's dropout, and as many labels as the dataset has answers."""
        settings = model.with_dropout(hidden_size=model.hidden_size)
        if model.answers is not None:
            settings |= {"answers": model.answers, "num_labels": len(model.answers)}
        return settings

    def load_bert(self, weights: HeadWeights) -> None:
        """No weight of a BERT fits."""

    def set_answers(self, answers: Sequence[str], origin: str = "the answer vocabulary") -> None:
        """Say what the labels stand for.

        Raises:
            InputError: where their number is not N, or where the head knows others already.
        """
        answers = list(answers)
        if len(answers) != self.classifier.out_features:
            raise InputError(
                f"{origin} has {len(answers)} answers, but the head has num_labels {self.classifier.out_features}; "
                "make them equal"
            )
        for label, (ours, theirs) in enumerate(zip(self.answers, answers, strict=False)):
            if ours != theirs:
                raise InputError(
                    f"{origin} has '{theirs}' as answer {label} where this model has '{ours}'; use the vocabulary that "
                    "the checkpoint was trained with"
                )
        self.answers = answers

    def rows(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, T) bool, the text positions that this head reads."""
        rows = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
        return rows.scatter(1, batch["answer_position"].view(-1, 1), True)

    def forward(self, encoded: Encoded, batch: Mapping[str, Tensor]) -> AnswerOutput:
        """Reads `answer_position` (B,) and, where there are any, `targets` (B, N) from the batch."""
        sequences = torch.arange(encoded.text.size(0), device=encoded.text.device)
        states = encoded.text[sequences, batch["answer_position"]]
        scores = self.classifier(self.dropout(states))
        if "targets" not in batch:
            return AnswerOutput(scores)
        unknown = unknown_index(self.answers) if self.answers else None
        return AnswerOutput(scores, answer_accuracy(scores.detach(), batch["targets"], unknown))

    def get_extra_state(self) -> Tensor:
        """The answers as bytes, so that everything in a state dict is a tensor: MMF copies and compares tensors."""
        return torch.tensor(list("\n".join(self.answers).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the answers of a checkpoint, or refuse it where they are others."""
        answers = answers_of(state)
        if answers:
            self.set_answers(answers, origin="the checkpoint")


def answers_of(state: Tensor) -> list[str]:
    """The answers that `AnswerHead.get_extra_state` wrote down; none where the head knew none."""
    return bytes(state.tolist()).decode().split("\n") if state.numel() else []
