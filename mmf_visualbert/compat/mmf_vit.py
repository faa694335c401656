"""MMF's own vision transformer (main), which is put together from parts that transformers had until its 5th version."""

from types import ModuleType
from typing import Any

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutput

from mmf_visualbert.compat.probes import text_of
from mmf_visualbert.compat.replace import replace

FILE = "modules/vit.py"
LOWEST = torch.finfo(torch.float32).min


def restore_vit_layers(modeling_vit: ModuleType) -> str | None:
    """`ViTIntermediate`, `ViTOutput`, `ViTConfig.is_decoder` (MMF main): removed in transformers 5.

    The last is what BERT's attention, which MMF builds from a vision transformer's config, reads. Can go when MMF has
    layers of its own.
    """
    if hasattr(modeling_vit, "ViTIntermediate") or "vit.ViTIntermediate" not in text_of("mmf", FILE):
        return None
    replace(modeling_vit, ViTIntermediate=ViTIntermediate, ViTOutput=ViTOutput, BaseModelOutput=BaseModelOutput)
    if not hasattr(modeling_vit.ViTConfig, "is_decoder"):
        replace(modeling_vit.ViTConfig, is_decoder=False)
    return "transformers 5 removed the layers that MMF's vision transformer is made of"


def restore_vit_attention(vit: ModuleType) -> str | None:
    """`ViTAttention` of MMF (main) has its output's layer, and its model the masks, from transformers before 5.

    Can go with the repair above.
    """
    if "get_head_mask" not in text_of("mmf", FILE) or hasattr(vit.ViTModel, "get_head_mask"):
        return None
    attention = vit.BertSelfAttention

    def begin(self: Any, config: Any) -> None:
        nn.Module.__init__(self)
        self.attention = attention(config)
        self.output = ViTSelfOutput(config)

    replace(vit.ViTAttention, __init__=begin)
    replace(vit.ViTModel, get_head_mask=head_mask, get_extended_attention_mask=additive_mask)
    return "transformers 5 removed what MMF's vision transformer inherits"


def head_mask(self: Any, mask: torch.Tensor | None, layers: int) -> list[None]:
    """No mask of heads for any layer, as transformers' attention takes none any more.

    Raises:
        ValueError: for a mask.
    """
    if mask is not None:
        raise ValueError("transformers 5 masks no heads; head_mask has to be None")
    return [None] * layers


def additive_mask(self: Any, mask: torch.Tensor, shape: Any, device: Any = None) -> torch.Tensor:
    """`(B, T)` or `(B, T, T)`, 1 for what is seen, as what is added to the scores: `(B, 1, 1, T)` or `(B, 1, T, T)`."""
    seen = mask[:, None, None, :] if mask.dim() == 2 else mask[:, None]
    return (1.0 - seen.to(torch.float32)) * LOWEST


class ViTSelfOutput(nn.Module):
    """What follows the attention: a linear layer; the residual is added by the layer around."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, states: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """`(B, T, H)` to `(B, T, H)`."""
        return self.dropout(self.dense(states))


class ViTIntermediate(nn.Module):
    """The first half of the feed-forward layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.intermediate_act_fn = ACT2FN[config.hidden_act]

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """`(B, T, H)` to `(B, T, intermediate_size)`."""
        return self.intermediate_act_fn(self.dense(states))


class ViTOutput(nn.Module):
    """The second half of the feed-forward layer, with the residual."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, states: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """`(B, T, intermediate_size)` and `(B, T, H)` to `(B, T, H)`."""
        return self.dropout(self.dense(states)) + residual
