"""transformers' VisualBert heads as a contender."""

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from torch import Tensor

CLASSES = {
    "vqa": transformers.VisualBertForQuestionAnswering,
    "pretrain": transformers.VisualBertForPreTraining,
    "nlvr2": transformers.VisualBertForVisualReasoning,
}


class Transformers:
    """transformers' VisualBert heads, given the batch padded to its longest text, in fp32 until `in_bf16`.

    Args:
        workload: vqa, pretrain or nlvr2.
        sample: the batch, on the device.
        device: cpu or cuda.
        labels: classes of the head.
        size: of BERT, by their names; base where it is not given.
    """

    def __init__(
        self, workload: str, sample: dict[str, Tensor], device: str, labels: int, size: Mapping[str, Any] | None = None
    ) -> None:
        dimension = sample["region_features"].size(-1)
        config = transformers.VisualBertConfig(visual_embedding_dim=dimension, num_labels=labels, **(size or {}))
        self.model = CLASSES[workload](config).to(device)
        self.workload, self.device, self.casts = workload, device, False
        self.versions = {"transformers": transformers.__version__}
        self.give(sample)

    def give(self, sample: Mapping[str, Tensor]) -> None:
        """Takes another batch."""
        longest = int(sample["text_mask"].sum(1).max())
        self.inputs = {
            "input_ids": sample["input_ids"][:, :longest],
            "attention_mask": sample["text_mask"][:, :longest].long(),
            "token_type_ids": sample["text_segments"][:, :longest],
            "visual_embeds": sample["region_features"].to(self.model.dtype),
            "visual_attention_mask": sample["region_mask"].long(),
            "visual_token_type_ids": sample["region_segments"],
        }
        self.labels = label_arguments(self.workload, sample, longest)
        self.tokens = len(sample["input_ids"]) * (longest + sample["region_mask"].size(1))

    def in_bf16(self, casts: bool) -> "Transformers":
        """The same in bf16, as its users have it: `casts` in training (`Trainer(bf16=True)`), else bf16 weights."""
        self.casts = casts
        if not casts:
            self.model = self.model.to(torch.bfloat16)
            self.inputs["visual_embeds"] = self.inputs["visual_embeds"].to(torch.bfloat16)
        return self

    def precision(self) -> contextlib.AbstractContextManager[object]:
        """In which the forward pass runs."""
        return torch.autocast(self.device, torch.bfloat16) if self.casts else contextlib.nullcontext()

    def loss(self) -> Tensor:
        """Their own loss."""
        with self.precision():
            return self.model(**self.inputs, **self.labels).loss

    def scores(self) -> Tensor:
        """Their logits."""
        output = self.model(**self.inputs)
        return output.logits if "logits" in output else output.prediction_logits

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW, as their trainer has it."""
        return torch.optim.AdamW(self.model.parameters(), lr=2e-5, weight_decay=0.01)


def label_arguments(workload: str, sample: Mapping[str, Tensor], longest: int) -> dict[str, Tensor]:
    """Labels by transformers' names, texts as long as `longest`."""
    if workload == "pretrain":
        labels = sample["masked_lm_labels"][:, :longest]
        beside = torch.full(sample["region_mask"].shape, -100, device=labels.device)
        return {
            "labels": torch.cat((labels.masked_fill(labels == -1, -100), beside), dim=1),
            "sentence_image_labels": sample["sentence_image_labels"],
        }
    return {"labels": sample["targets"]}
