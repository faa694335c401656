"""The stack of Transformer layers, on the parts of transformers' `BertLayer`.

How states lie in memory, and so their shapes, is the business of `layout.Layout`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.models.bert.modeling_bert import BertLayer

from mmf_visualbert.modules import cast_layer
from mmf_visualbert.modules.dropout import Dropout
from mmf_visualbert.modules.layout import Chosen, Layout


class LayerOutput(NamedTuple):
    """States after a layer, and its attention weights (B, heads, L, L) where there are any."""

    states: Tensor
    weights: Tensor | None


class Layer(nn.Module):
    """One Transformer layer. It holds the parts, and so the parameter names, of a `BertLayer`.

    The forward pass is our own, because two things that a VisualBERT needs are not in BertLayer's: to compute the
    queries, and all that follows them, for some positions alone, and to hand out attention weights in every version of
    transformers.

    Args:
        layer: gives its parts away.
    """

    def __init__(self, layer: BertLayer) -> None:
        super().__init__()
        self.num_heads = layer.attention.self.num_attention_heads
        self.attention = layer.attention
        self.intermediate = layer.intermediate
        self.output = layer.output
        for part in (self.attention.self, self.attention.output, self.output):
            part.dropout = Dropout(part.dropout.p)

    def forward(self, states: Tensor, layout: Layout, chosen: Chosen | None = None) -> LayerOutput:
        """States -> states, or chosen states where only those are wanted; see `Layout` for their shapes."""
        if casts(states.device) and cast_layer.is_plain(self):
            kind = torch.get_autocast_dtype(states.device.type)
            return LayerOutput(*cast_layer.forward(self, states, layout, chosen, kind))
        attention = self.attention.self
        queried = states if chosen is None else layout.select(states, chosen)
        dropout = attention.dropout.p if self.training else 0.0
        query, key, value = attention.query(queried), attention.key(states), attention.value(states)
        context, weights = layout.attend(query, key, value, self.num_heads, dropout, chosen)
        attended = self.attention.output(context, queried)
        return LayerOutput(self.output(self.intermediate(attended), attended), weights)


def casts(device: torch.device) -> bool:
    """Whether autocast is on where kernels are so quick that starting them takes longer."""
    return device.type == "cuda" and torch.is_autocast_enabled("cuda")


class EncoderOutput(NamedTuple):
    """States after the last layer; and where asked for those after the embeddings and each layer, and all weights."""

    states: Tensor
    hidden_states: tuple[Tensor, ...] = ()
    attentions: tuple[Tensor | None, ...] = ()

    def weights(self) -> tuple[Tensor, ...]:
        """The weights of all layers, of a kernel that gives them."""
        return tuple(weights for weights in self.attentions if weights is not None)


class Encoder(nn.Module):
    """Layers one after the other.

    Args:
        layers: the layers.
        gradient_checkpointing: in training keep only what goes into each layer and compute the rest again in the
            backward pass: about a third slower, far less memory.
    """

    def __init__(self, layers: Sequence[Layer], gradient_checkpointing: bool = False) -> None:
        super().__init__()
        self.layer = nn.ModuleList(layers)
        self.gradient_checkpointing = gradient_checkpointing

    @property
    def layers(self) -> list[Layer]:
        """The layers, by their type."""
        return [layer for layer in self.layer if isinstance(layer, Layer)]

    def forward(
        self, states: Tensor, layout: Layout, *, chosen: Chosen | None = None, keep: bool = False
    ) -> EncoderOutput:
        """States -> states.

        Args:
            states: embeddings.
            layout: how they lie in memory.
            chosen: the tokens whose last state is wanted, all where None; the last layer computes nothing else.
            keep: hand out the states and weights of all layers.
        """
        all_states: list[Tensor] = [states]
        all_weights: list[Tensor | None] = []
        for number, layer in enumerate(self.layers, start=1):
            states, weights = self.run(layer, states, layout, chosen if number == len(self.layer) else None)
            if keep:
                all_states.append(states)
                all_weights.append(weights)
        return EncoderOutput(states, tuple(all_states) if keep else (), tuple(all_weights))

    def run(self, layer: Layer, states: Tensor, layout: Layout, chosen: Chosen | None = None) -> LayerOutput:
        """One layer, through gradient checkpointing where that is asked for."""
        if self.gradient_checkpointing and self.training and states.requires_grad:
            return checkpoint(layer, states, layout, chosen, use_reentrant=False)
        return layer(states, layout, chosen)
