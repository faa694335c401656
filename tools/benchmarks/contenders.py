"""The contenders: how each of the three builds BERT-base size models and reads the same batch.

Each has `model`, `tokens` it computes, `versions`, and `loss()`, `scores()`, `optimizer()`. Libraries are imported
where they are used: MMF's contender runs in an environment in which ours need not be installed.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from workload import ANSWERS, REGION_DIMENSION, VOCABULARY, tokens

# The project's yaml of each workload: what is measured is what `mmf_run` trains.
CONFIGS = {"vqa": "vqa2/defaults.yaml", "pretrain": "vqa2/pretrain_coco.yaml", "nlvr2": "nlvr2/defaults.yaml"}


class Ours:
    """mmf_visualbert: the parts that the shipped yaml builds, of random weights, without MMF's loop around them."""

    def __init__(self, workload: str, sample: dict[str, Tensor], device: str) -> None:
        import transformers

        from mmf_visualbert import catalog
        from mmf_visualbert.modules.batch import visual_bert_inputs
        from mmf_visualbert.modules.parts import build_parts
        from mmf_visualbert.places import project_configs
        from mmf_visualbert.runs import plain, read_config

        shipped = plain(read_config(project_configs() / CONFIGS[workload]), "model_config.visualbert")
        config = {**shipped, "bert": None, "region_dimension": REGION_DIMENSION}
        parts = build_parts(config, answers=[str(answer) for answer in range(ANSWERS)], vocab_size=VOCABULARY)
        self.visual_bert, self.heads, self.sample = parts.visual_bert, list(parts.heads.values()), sample
        self.model = torch.nn.ModuleList([self.visual_bert, *self.heads]).to(device)
        self.losses = [catalog.build("loss", loss) for loss in shipped["losses"]]
        self.inputs = visual_bert_inputs
        self.tokens = tokens(sample)
        self.versions = {"transformers": transformers.__version__, "attention": config["attention"]}

    def outputs(self) -> dict[str, Tensor]:
        """All heads' outputs."""
        text, regions = self.inputs(self.sample)
        rows = torch.stack([head.rows(self.sample) for head in self.heads]).any(dim=0)
        encoded = self.visual_bert(text, regions, last_layer_rows=rows)
        return {key: value for head in self.heads for key, value in head(encoded, self.sample)._asdict().items()}

    def loss(self) -> Tensor:
        """Sum of the workload's losses."""
        outputs = self.outputs()
        return sum(loss(self.sample, outputs) for loss in self.losses)

    def scores(self) -> Tensor:
        """What a user reads."""
        outputs = self.outputs()
        return outputs["scores"] if "scores" in outputs else outputs["masked_lm_logits"]

    def optimizer(self) -> torch.optim.Optimizer:
        """Our Adam, with its two groups."""
        from mmf_visualbert.modules.optimizer import parameter_groups, visualbert_adam

        return visualbert_adam(parameter_groups(self.model, 0.01), lr=2e-5)


class Transformers:
    """transformers' VisualBert heads, given the batch padded to its longest text."""

    def __init__(self, workload: str, sample: dict[str, Tensor], device: str) -> None:
        import transformers

        config = transformers.VisualBertConfig(visual_embedding_dim=REGION_DIMENSION, num_labels=ANSWERS)
        classes = {
            "vqa": transformers.VisualBertForQuestionAnswering,
            "pretrain": transformers.VisualBertForPreTraining,
            "nlvr2": transformers.VisualBertForVisualReasoning,
        }
        if workload == "nlvr2":
            config.num_labels = 2
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


class MMF:
    """MMF's own visual_bert: every text padded to 128, pre-training logits at every position, NLVR2 in two passes."""

    def __init__(self, workload: str, sample: dict[str, Tensor], device: str) -> None:
        import transformers
        from mmf.common.registry import registry
        from mmf.common.sample import SampleList
        from mmf.models.visual_bert import VisualBERT
        from omegaconf import OmegaConf

        heads = {"vqa": "classification", "pretrain": "pretraining", "nlvr2": "nlvr2"}
        registry.register("config", OmegaConf.create({"evaluation": {"predict": False}}))
        registry.register("current_device", torch.device(device))
        self.model = VisualBERT(OmegaConf.create(mmf_config(heads[workload], 2 if workload == "nlvr2" else ANSWERS)))
        self.model.build()
        self.model.to(device)
        self.sample_list, self.workload, self.sample = SampleList, workload, sample
        images = 2 if workload == "nlvr2" else 1
        sequence = sample["input_ids"].size(1) * images + sample["region_mask"].size(1)
        self.tokens = len(sample["input_ids"]) * sequence
        self.versions = {"transformers": transformers.__version__}

    def batch(self) -> Any:
        """The batch by MMF's names; made anew each time, because the model writes into it."""
        sample = self.sample
        content = {
            "input_ids": sample["input_ids"],
            "input_mask": sample["text_mask"].long(),
            "segment_ids": sample["text_segments"],
        }
        features = sample["region_features"]
        images = features.chunk(2, dim=1) if self.workload == "nlvr2" else (features,)
        for number, image in enumerate(images):
            sizes = torch.full((len(image),), image.size(1), device=image.device)
            one = {"image_feature_0": image, "image_info_0": self.sample_list({"max_features": sizes})}
            content.update({f"img{number}": self.sample_list(one)} if len(images) > 1 else one)
        if self.workload == "pretrain":
            content["lm_label_ids"] = sample["masked_lm_labels"]
        batch = self.sample_list(content)
        batch.dataset_name, batch.dataset_type = "benchmark", "train"
        return batch

    def loss(self) -> Tensor:
        """MMF's losses: BCE for VQA, cross entropy for NLVR2, masked LM alone for pre-training."""
        output = self.model(self.batch())
        if self.workload == "pretrain":
            return next(iter(output["losses"].values()))
        if self.workload == "nlvr2":
            return functional.cross_entropy(output["scores"], self.sample["targets"])
        targets = self.sample["targets"]
        return functional.binary_cross_entropy_with_logits(output["scores"], targets) * targets.size(1)

    def scores(self) -> Tensor:
        """Scores, or the vocabulary's logits."""
        output = self.model(self.batch())
        return output["scores"] if "scores" in output else output["logits"]

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW, as MMF's configs have it."""
        return torch.optim.AdamW(self.model.parameters(), lr=2e-5, weight_decay=0.01)


def mmf_config(head: str, labels: int) -> dict[str, Any]:
    """BERT-base for MMF's visual_bert, without a download."""
    return {
        "model": "visual_bert",
        "bert_model_name": None,
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "training_head_type": head,
        "num_labels": labels,
        "visual_embedding_dim": REGION_DIMENSION,
        "special_visual_initialize": True,
        "embedding_strategy": "plain",
        "bypass_transformer": False,
        "output_attentions": False,
        "output_hidden_states": False,
        "random_initialize": False,
        "freeze_base": False,
        "pooler_strategy": "vqa" if labels == ANSWERS else "default",
        "zerobias": False,
        "losses": [],
    }


CONTENDERS = {"ours": Ours, "hf": Transformers, "mmf": MMF}
