"""transformers' VisualBert heads as a contender."""

import torch
import transformers
from torch import Tensor


class Transformers:
    """transformers' VisualBert heads, given the batch padded to its longest text, in fp32.

    Args:
        workload: vqa, pretrain or nlvr2.
        sample: the batch, on the device.
        device: cpu or cuda.
        labels: classes of the head.
    """

    def __init__(self, workload: str, sample: dict[str, Tensor], device: str, labels: int) -> None:
        dimension = sample["region_features"].size(-1)
        config = transformers.VisualBertConfig(visual_embedding_dim=dimension, num_labels=labels)
        classes = {
            "vqa": transformers.VisualBertForQuestionAnswering,
            "pretrain": transformers.VisualBertForPreTraining,
            "nlvr2": transformers.VisualBertForVisualReasoning,
        }
        self.model = classes[workload](config).to(device)
        longest = int(sample["text_mask"].sum(1).max())
        self.inputs = {
            "input_ids": sample["input_ids"][:, :longest],
            "attention_mask": sample["text_mask"][:, :longest].long(),
            "token_type_ids": sample["text_segments"][:, :longest],
            "visual_embeds": sample["region_features"],
            "visual_attention_mask": sample["region_mask"].long(),
            "visual_token_type_ids": sample["region_segments"],
        }
        self.labels = self.label_arguments(workload, sample, longest)
        self.tokens = len(sample["input_ids"]) * (longest + sample["region_mask"].size(1))
        self.versions = {"transformers": transformers.__version__}

    @staticmethod
    def label_arguments(workload: str, sample: dict[str, Tensor], longest: int) -> dict[str, Tensor]:
        """Labels by transformers' names."""
        if workload == "pretrain":
            labels = sample["masked_lm_labels"][:, :longest]
            beside = torch.full(sample["region_mask"].shape, -100, device=labels.device)
            return {
                "labels": torch.cat((labels.masked_fill(labels == -1, -100), beside), dim=1),
                "sentence_image_labels": sample["sentence_image_labels"],
            }
        return {"labels": sample["targets"]}

    def loss(self) -> Tensor:
        """Their own loss."""
        return self.model(**self.inputs, **self.labels).loss

    def scores(self) -> Tensor:
        """Their logits."""
        output = self.model(**self.inputs)
        return output.logits if "logits" in output else output.prediction_logits

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW, as their trainer has it."""
        return torch.optim.AdamW(self.model.parameters(), lr=2e-5, weight_decay=0.01)
