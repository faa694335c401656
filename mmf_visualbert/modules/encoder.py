"""The stack of Transformer layers, on the parts of transformers' `BertLayer`.

Shapes: B batch, L tokens, K chosen positions, H hidden size.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.models.bert.modeling_bert import BertLayer

from mmf_visualbert.modules.attention import Kernel
from mmf_visualbert.modules.layout import Chosen, Padded


class LayerOutput(NamedTuple):
    """States after a layer, (B, L, H) or (B, K, H), and attention weights (B, heads, L or K, L) where there are any."""

    hidden: Tensor
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
        self.heads = layer.attention.self.num_attention_heads
        self.attention = layer.attention
        self.intermediate = layer.intermediate
        self.output = layer.output

    def forward(self, hidden: Tensor, layout: Padded, kernel: Kernel, chosen: Chosen | None = None) -> LayerOutput:
        """States (B, L, H) -> (B, L, H), or (B, K, H) where only chosen positions are wanted."""
        attention = self.attention.self
        queried = hidden if chosen is None else layout.select(hidden, chosen)
        dropout = attention.dropout.p if self.training else 0.0
        query, key, value = attention.query(queried), attention.key(hidden), attention.value(hidden)
        context, weights = layout.attend(kernel, query, key, value, self.heads, dropout)
        attended = self.attention.output(context, queried)
        return LayerOutput(self.output(self.intermediate(attended), attended), weights)


class EncoderOutput(NamedTuple):
    """Last states, and those after the embeddings and each layer and the weights of each layer, where asked for."""

    hidden: Tensor
    hidden_states: tuple[Tensor, ...]
    attentions: tuple[Tensor, ...]


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

    def forward(
        self, hidden: Tensor, layout: Padded, kernel: Kernel, *, chosen: Chosen | None = None, keep: bool = False
    ) -> EncoderOutput:
        """States (B, L, H) -> (B, L, H).

        Args:
            hidden: embeddings.
            layout: how they lie in memory.
            kernel: computes attention.
            chosen: positions whose last state is wanted; all of them where None. The result is then (B, K, H).
            keep: hand out the states and weights of all layers.
        """
        states, weights = [hidden], []
        for number, layer in enumerate(self.layer):
            rows = chosen if number == len(self.layer) - 1 else None
            output = self.run(layer, hidden, layout, kernel, rows)
            hidden = output.hidden
            if keep:
                states.append(hidden)
                weights.append(output.weights)
        return EncoderOutput(hidden, tuple(states) if keep else (), tuple(weights))

    def run(
        self, layer: Layer, hidden: Tensor, layout: Padded, kernel: Kernel, chosen: Chosen | None = None
    ) -> LayerOutput:
        """One layer, through gradient checkpointing where that is asked for."""
        if self.gradient_checkpointing and self.training and hidden.requires_grad:
            return checkpoint(layer, hidden, layout, kernel, chosen, use_reentrant=False)
        return layer(hidden, layout, kernel, chosen)
