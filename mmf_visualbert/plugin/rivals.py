"""MMF's own visual_bert, beside which the benchmark measures ours.

It runs in an environment in which it works (transformers before 5): of this package only `benchmark.contender` is used
there, and the repairs that MMF needs.
"""

from typing import Any

import torch
import transformers
from mmf.common.registry import registry
from mmf.common.sample import SampleList
from mmf.models.visual_bert import VisualBERT
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional

from mmf_visualbert.plugin.rival_config import mmf_config


class MmfVisualBert:
    """MMF's own visual_bert, in fp32: texts padded to 128, pre-training logits at each position, NLVR2 in two passes.

    Args:
        workload: vqa, pretrain or nlvr2.
        sample: the batch, on the device.
        device: cpu or cuda.
        labels: classes of the head.
    """

    def __init__(self, workload: str, sample: dict[str, Tensor], device: str, labels: int) -> None:
        heads = {"vqa": "classification", "pretrain": "pretraining", "nlvr2": "nlvr2"}
        registry.register("config", OmegaConf.create({"evaluation": {"predict": False}}))
        registry.register("current_device", torch.device(device))
        self.model = VisualBERT(
            OmegaConf.create(mmf_config(heads[workload], labels, sample["region_features"].size(-1)))
        )
        self.model.build()
        self.model.init_losses()  # rc10 asks for them although there are none
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
