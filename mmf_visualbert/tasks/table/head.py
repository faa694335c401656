"""One number for each label, from the pooled state; the names of the labels are kept in the checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import Head, HeadWeights, ModelFacts
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.heads.batch import no_rows
from mmf_visualbert.modules.heads.pooled import ScoresOutput
from mmf_visualbert.modules.inputs import Encoded

NAME = "visualbert_labels"


@register("head", NAME)
class LabelsHead(Head):
    """Dropout and one linear map of the pooled state to N numbers: logits of labels, or a number (N = 1).

    Args:
        hidden_size: of the encoder.
        num_labels: N.
        names: what the outputs stand for; a checkpoint with others is refused.
        dropout: probability of dropping an element of the state.
    """

    needs_pooler: ClassVar[bool] = True

    def __init__(
        self, *, hidden_size: int, num_labels: int = 1, names: Sequence[str] | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, num_labels)
        self.names: list[str] = list(names or [])
        if self.names and len(self.names) != num_labels:
            raise InputError(f"{NAME} has num_labels {num_labels} and {len(self.names)} names; make them equal")

    @classmethod
    def fitted(cls, model: ModelFacts) -> dict[str, Any]:
        """The encoder's size, the configuration's dropout, and as many outputs as the dataset has names."""
        settings = model.with_dropout(hidden_size=model.hidden_size)
        if model.answers is not None:
            settings |= {"names": model.answers, "num_labels": len(model.answers)}
        return settings

    def load_bert(self, weights: HeadWeights) -> None:
        """No weight of a BERT fits."""

    def rows(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, T) bool, the text positions that this head reads: none beside [CLS]."""
        return no_rows(batch)

    def forward(self, encoded: Encoded, batch: Mapping[str, Tensor]) -> ScoresOutput:
        """Reads nothing from the batch. `scores` is (B, N)."""
        return ScoresOutput(self.classifier(self.dropout(encoded.pooled)))

    def get_extra_state(self) -> Tensor:
        """The names as bytes, so that everything in a state dict is a tensor."""
        return torch.tensor(list("\n".join(self.names).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the names of a checkpoint, or refuse it where they are others.

        Raises:
            InputError: naming the first that differs.
        """
        theirs = bytes(state.tolist()).decode().split("\n") if state.numel() else []
        for place, (our, their) in enumerate(zip(self.names, theirs, strict=False)):
            if our != their:
                raise InputError(
                    f"the checkpoint calls label {place} '{their}' and this data '{our}'; give the checkpoint's names "
                    f"in label_processor.params.names: [{', '.join(theirs)}]"
                )
        self.names = theirs or self.names
