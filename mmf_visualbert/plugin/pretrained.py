"""A run that starts from somebody's trained VisualBERT, by `model_config.visualbert.pretrained` alone."""

import functools
import logging
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import OmegaConf, open_dict
from torch import Tensor, nn

from mmf_visualbert.checkpoints.sources import Said, Source, read_source
from mmf_visualbert.errors import InputError
from mmf_visualbert.yaml_config import container

logger = logging.getLogger(__name__)

KEY = "model_config.visualbert.pretrained"
AS_BERT = "${.bert}"
# What weights were trained with, and what a run that starts from them does likewise.
TAKEN = ("size", "region_dimension", "fusion", "alignment")
ENCODER = "visual_bert."


@functools.lru_cache(maxsize=1)
def source_of(name: str) -> Source:
    """The trained model of this name."""
    return read_source(name, Said())


def take_pretrained(config: Any) -> None:
    """Puts the sizes and ways of the model that `pretrained` names into the configuration of a run, and says so.

    Args:
        config: of the run; changed.

    Raises:
        InputError: where it cannot be had.
    """
    section = config.model_config.visualbert
    if not section.get("pretrained"):
        return
    source = source_of(str(section.pretrained))
    taken = {name: source.model[name] for name in TAKEN}
    if container(section, resolve=False).get("tokenizer") == AS_BERT:
        taken["tokenizer"] = source.text.get("tokenizer") or section.bert
    with open_dict(section):
        section.update(OmegaConf.create({**taken, "bert": None, "random_init": True}))
    logger.info(f"{KEY}: {'; '.join(source.report)}")
    ways = ", ".join(f"{name}: {value}" for name, value in taken.items() if name != "size")
    logger.info(f"{KEY}: as its weights were trained, {ways}")


def start_from(model: nn.Module, name: str) -> None:
    """Copies the weights of a trained model: those of the encoder, and of each head that fits whole.

    Args:
        model: of the run.
        name: what `pretrained` says.

    Raises:
        InputError: where a weight of the encoder is missing or of another shape.
    """
    state, own = source_of(name).state, model.state_dict()
    copied = {key: value for key, value in state.items() if key.startswith(ENCODER) and key in own}
    anew = [key for key in own if key.startswith(ENCODER) and key not in copied and ".pooler." not in key]
    wrong = [key for key, value in copied.items() if value.shape != own[key].shape]
    if anew or wrong:
        raise InputError(
            f"{KEY}={name} does not fit the model ({(anew + wrong)[0]}); leave sizes out of the yaml, or name another"
        )
    heads = sorted({key.split(".")[1] for key in own if key.startswith("heads.")})
    fitting = [head for head in heads if fits(head, own, state)]
    copied |= {key: value for head in fitting for key, value in state.items() if key.startswith(f"heads.{head}.")}
    model.load_state_dict(copied, strict=False)
    source_of.cache_clear()  # a copy of all weights, which a run would carry along for nothing
    begin = [head for head in heads if head not in fitting]
    logger.info(
        f"{KEY}: {len(copied)} weights of {name} loaded"
        + (f"; heads that start anew: {', '.join(begin)}" if begin else "")
    )


def fits(head: str, own: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether all of a head is there, in its shapes, and what its rows stand for is the same."""
    names = [key for key in own if key.startswith(f"heads.{head}.")]
    return bool(names) and all(key in state and same(own[key], state[key], key) for key in names)


def same(own: Any, given: Any, key: str) -> bool:
    """Whether a weight has its shape, or what is no weight its content."""
    if key.endswith("_extra_state"):
        return torch.equal(own, given) if isinstance(own, Tensor) and isinstance(given, Tensor) else bool(own == given)
    return isinstance(given, Tensor) and own.shape == given.shape
