"""Our contender: the model, losses and optimizer of the shipped yaml, as a run of MMF builds them, without its loop."""

from collections.abc import Sequence
from typing import Any

import torch
import transformers
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from mmf_visualbert import catalog
from mmf_visualbert.benchmark.workloads import ANSWERS, VOCABULARY, WORKLOADS
from mmf_visualbert.modules.optimizer import parameter_groups
from mmf_visualbert.modules.outputs import outputs_of
from mmf_visualbert.modules.parts import ModelParts, build_parts
from mmf_visualbert.places import project_configs
from mmf_visualbert.runs import plain, read_config

# The one thing that differs from a run: weights of the same size are random, because nothing is downloaded.
BERT, BACKBONE = "model_config.visualbert.bert", "model_config.visualbert.region_encoder.params.weights"


def shipped(workload: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration of a workload's run, with random weights.

    Args:
        workload: one of `WORKLOADS`.
        overrides: `key=value`, the last word.
    """
    config = read_config(project_configs() / WORKLOADS[workload].config, overrides)
    OmegaConf.update(config, BERT, None)
    if OmegaConf.select(config, BACKBONE) is not None:
        OmegaConf.update(config, BACKBONE, None)
    return config


def stated_size(config: DictConfig) -> dict[str, Any]:
    """What a configuration says of the size of its BERT, by transformers' names; where it is silent, it is base's."""
    return {key: value for key, value in plain(config, "model_config.visualbert.size").items() if value is not None}


def random_parts(config: DictConfig, precision: str = "fp32") -> ModelParts:
    """The model of a configuration of `shipped`."""
    model = {**plain(config, "model_config.visualbert"), "precision": precision}
    return build_parts(model, [f"answer {number}" for number in range(ANSWERS)], VOCABULARY)


class Ours:
    """mmf_visualbert.

    Args:
        workload: one of `WORKLOADS`.
        sample: the batch, on the device.
        device: cpu or cuda.
        precision: fp32 or bf16.
        overrides: `key=value` over the shipped yaml.
    """

    def __init__(
        self, workload: str, sample: dict[str, Tensor], device: str, precision: str, overrides: Sequence[str] = ()
    ) -> None:
        self.config, self.sample = shipped(workload, overrides), sample
        self.parts = random_parts(self.config, precision)
        modules = {"visual_bert": self.parts.visual_bert, "heads": nn.ModuleDict(self.parts.heads)}
        if self.parts.region_encoder is not None:
            modules["region_encoder"] = self.parts.region_encoder
        self.model = nn.ModuleDict(modules).to(device)
        self.losses = [catalog.build("loss", loss) for loss in plain(self.config, "model_config.visualbert")["losses"]]
        self.tokens = 0
        self.parts.visual_bert.encoder.layer[0].register_forward_hook(self._count)
        self.versions = {
            "transformers": transformers.__version__,
            "attention": self.parts.visual_bert.attention,
            "fp32_products": self.parts.products,
        }

    def _count(self, _: nn.Module, given: tuple[Any, ...], __: object) -> None:
        self.tokens = given[0].shape[:-1].numel()

    def loss(self) -> Tensor:
        """Sum of the run's losses."""
        outputs = outputs_of(self.parts, self.sample)
        return torch.stack([loss(self.sample, outputs) for loss in self.losses]).sum()

    def scores(self) -> Tensor:
        """What a user reads."""
        outputs = outputs_of(self.parts, self.sample)
        return outputs["scores"] if "scores" in outputs else outputs["masked_lm_logits"]

    def optimizer(self) -> torch.optim.Optimizer:
        """The run's, with its two groups."""
        section = plain(self.config, "optimizer")
        groups = parameter_groups(self.model, section["params"]["weight_decay"])
        return catalog.get("optimizer", section["type"])(groups, **section["params"])
