"""VisualBERT as MMF's model: a batch of samples in, `scores` and what losses and metrics read out."""

from collections.abc import Mapping, MutableMapping
from functools import cached_property
from typing import Any

from mmf.common.registry import registry
from mmf.models.base_model import BaseModel
from omegaconf import OmegaConf
from torch import Tensor, nn

from mmf_visualbert.contracts import Head
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.chosen_heads import ChosenHead, chosen_heads
from mmf_visualbert.modules.optimizer import parameter_groups
from mmf_visualbert.modules.outputs import outputs_of
from mmf_visualbert.modules.parts import ModelParts, build_parts
from mmf_visualbert.places import MODEL_YAML
from mmf_visualbert.plugin import run_facts
from mmf_visualbert.plugin.mmf_fields import add_our_names, add_targets_of_pretraining
from mmf_visualbert.plugin.no_numbers import check_losses
from mmf_visualbert.plugin.preemption import stop_if_asked
from mmf_visualbert.plugin.pretrained import start_from
from mmf_visualbert.plugin.several_datasets import bind_losses
from mmf_visualbert.yaml_config import container


class VisualBERT(BaseModel):
    """Chooses the parts that the config names, and passes the batch through them (§3).

    Args:
        config: `model_config.visualbert`; `configs/models/visualbert.yaml` explains each key.
    """

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config if OmegaConf.is_config(config) else OmegaConf.create(config))

    @classmethod
    def config_path(cls) -> str:
        """The yaml with the model's defaults, absolute."""
        return str(MODEL_YAML)

    def build(self) -> None:
        """Builds the encoder, region encoder and heads.

        Raises:
            InputError: for a choice that does not exist, or sizes that do not fit the datasets of the run.
        """
        config = container(self.config)
        parts: ModelParts = build_parts(config, run_facts.answers_of(self.chosen), run_facts.vocab_size())
        self.visual_bert = parts.visual_bert
        self.region_encoder = parts.region_encoder
        self.heads = nn.ModuleDict(parts.heads)
        self.precision, self.products = parts.precision, parts.products
        self.hide_regions = config["hide_regions"]
        if config.get("pretrained"):
            start_from(self, config["pretrained"])

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        """As torch's own. MMF copies all weights first, to give names of old versions their new ones, which ours have
        not."""
        return nn.Module.load_state_dict(self, state_dict, *args, **options)

    def init_losses(self) -> None:
        """MMF's losses, each for the data sets that the config names for it."""
        super().init_losses()
        bind_losses(self.losses.losses, container(self.config)["losses"])

    @cached_property
    def chosen(self) -> list[ChosenHead]:
        """The heads as the config chooses them."""
        return chosen_heads(container(self.config)["heads"])

    def parts_for(self, dataset: str | None) -> ModelParts:
        """The model with the heads that read the samples of a data set."""
        parts = self.parts
        if not any(head.datasets for head in self.chosen):
            return parts
        return parts._replace(heads={head.name: parts.heads[head.name] for head in self.chosen if head.reads(dataset)})

    @property
    def parts(self) -> ModelParts:
        """The model without MMF around it."""
        heads = {name: head for name, head in self.heads.items() if isinstance(head, Head)}
        return ModelParts(self.visual_bert, self.region_encoder, heads, self.precision, self.products)

    def forward(self, sample_list: MutableMapping[str, Any], *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """All heads' named outputs for a batch, floating point ones in fp32.

        Args:
            sample_list: what the datasets give, collated: `input_ids`, `text_mask`, `text_segments` (B, T) or
                (B, C, T); `region_features` (B, R, D), `region_mask`, `region_segments` (B, R), or what the region
                encoder reads, or no regions at all; and what the heads read. MMF's own datasets give theirs.
        """
        add_our_names(sample_list)
        outputs = outputs_of(self.parts_for(sample_list.get("dataset_name")), sample_list, self.hide_regions)
        add_targets_of_pretraining(sample_list, outputs)
        # What mmf_predict collects: a pre-training phase predicts whether the text describes the image.
        if "scores" not in outputs and "sentence_image_logits" in outputs:
            outputs["scores"] = outputs["sentence_image_logits"]
        if "scores" not in outputs and registry.get("config").evaluation.predict:
            raise InputError(
                f"there is nothing to predict with the heads {', '.join(self.heads)}; run mmf_predict with the config "
                "of a phase that has a head with scores, as fine-tuning has"
            )
        return outputs

    def __call__(self, sample_list: Mapping[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What `forward` gives, and `losses` by term, which are looked at."""
        if not self.training:
            stop_if_asked()
        try:
            output = super().__call__(sample_list, *args, **kwargs)
        except KeyError as error:
            run_facts.refuse_others(str(sample_list.get("dataset_name")), error)
            raise
        check_losses(self, sample_list, output.get("losses", {}))
        return output

    def get_optimizer_parameters(self, config: Any) -> list[dict[str, Any]]:
        """Two groups: with weight decay, and biases and LayerNorms without (as BERT)."""
        return parameter_groups(self, (config.optimizer.get("params") or {}).get("weight_decay", 0.0))
