"""A layer under autocast on a GPU, with as few kernels as there have to be.

autocast casts each weight, each bias and each gradient by itself, and what goes into query, key and value three times:
two thirds of a layer's kernels, which take the CPU longer to start than the GPU to run. Here a layer's weights are cast
by one kernel, their gradients by another, and query, key and value are one product. What is rounded, and where, is the
same; `Layer.forward` is the slow twin.

Shapes: N tokens, or (B, L) of them; M or (B, K) queried ones; H hidden size, I intermediate size.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers.models.bert.modeling_bert import BertIntermediate, BertOutput, BertSelfOutput

from mmf_visualbert.modules.layout import Chosen, Layout

if TYPE_CHECKING:
    from mmf_visualbert.modules.encoder import Layer


class CastTogether(torch.autograd.Function):
    """Linear maps' weights (or biases) in another type; those that stand in one group lie one after the other."""

    @staticmethod
    def forward(ctx: Any, kind: torch.dtype, groups: tuple[int, ...], *weights: Tensor) -> tuple[Tensor, ...]:
        """
        Args:
            kind: the type.
            groups: how many of `weights` each result is made of.
            weights: (rows, ...), of one width in a group.
        """
        results, parts, start = [], [], 0
        for count in groups:
            of_group = weights[start : start + count]
            rows = [len(weight) for weight in of_group]
            results.append(torch.empty(sum(rows), *of_group[0].shape[1:], dtype=kind, device=of_group[0].device))
            parts += results[-1].split(rows)
            start += count
        torch._foreach_copy_(parts, list(weights))
        ctx.rows, ctx.groups, ctx.kinds = [len(weight) for weight in weights], groups, [w.dtype for w in weights]
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Each weight's gradient in its own type."""
        parts, start = [], 0
        for gradient, count in zip(gradients, ctx.groups, strict=True):
            parts += gradient.split(ctx.rows[start : start + count])
            start += count
        own = [
            torch.empty(part.shape, dtype=kind, device=part.device) for part, kind in zip(parts, ctx.kinds, strict=True)
        ]
        torch._foreach_copy_(own, parts)
        return (None, None, *own)


class CastWeights(NamedTuple):
    """A layer's linear maps: of query, key and value one after the other, (3H, H); (H, H); (I, H); (H, I)."""

    projections: Tensor
    attended: Tensor
    intermediate: Tensor
    output: Tensor
    projections_bias: Tensor
    attended_bias: Tensor
    intermediate_bias: Tensor
    output_bias: Tensor


GROUPS = (3, 1, 1, 1)


def maps_of(layer: "Layer") -> list[nn.Linear]:
    """A layer's linear maps: of query, key and value, and the three that follow attention."""
    own = layer.attention.self
    after = [layer.attention.output.dense, layer.intermediate.dense, layer.output.dense]
    return [own.query, own.key, own.value, *after]


BLOCKS = (BertSelfOutput, BertIntermediate, BertOutput)


def is_plain(layer: "Layer") -> bool:
    """Whether a layer's blocks are BERT's, their maps torch's own, and nothing listens to either: an adapter in place
    of one, or a hook, is not to be passed by.
    """
    blocks = (layer.attention.output, layer.intermediate, layer.output)
    if not all(type(block) is kind for block, kind in zip(blocks, BLOCKS, strict=True)) or any(map(is_heard, blocks)):
        return False
    return all(type(each) is nn.Linear and each.bias is not None and not is_heard(each) for each in maps_of(layer))


def is_heard(part: nn.Module) -> bool:
    """Whether a part has hooks, which only a call of it runs."""
    return bool(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks)


def weights_of(layer: "Layer", kind: torch.dtype) -> CastWeights:
    """A layer's weights and biases in this type."""
    maps = maps_of(layer)
    weights = (*(each.weight for each in maps), *(each.bias for each in maps))
    return CastWeights(*CastTogether.apply(kind, GROUPS + GROUPS, *weights))


def forward(
    layer: "Layer", states: Tensor, layout: Layout, chosen: Chosen | None, kind: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """States of `layer`, and attention's weights, as `Layer.forward` gives them under autocast to `kind`."""
    cast = weights_of(layer, kind)
    queried = states if chosen is None else layout.select(states, chosen)
    query, key, value = projected(cast, queried, states)
    dropout = layer.attention.self.dropout.p if layer.training else 0.0
    context, weights = layout.attend(query, key, value, layer.num_heads, dropout, chosen)
    return after_attention(layer, cast, context, queried), weights


def projected(cast: CastWeights, queried: Tensor, states: Tensor) -> tuple[Tensor, ...]:
    """Query of the states that are queried; key and value of all."""
    if queried is states:
        return functional.linear(states, cast.projections, cast.projections_bias).chunk(3, dim=-1)
    width = states.size(-1)
    of_query, of_all = cast.projections.split((width, 2 * width))
    query_bias, bias = cast.projections_bias.split((width, 2 * width))
    return (functional.linear(queried, of_query, query_bias), *functional.linear(states, of_all, bias).chunk(2, dim=-1))


def after_attention(layer: "Layer", cast: CastWeights, context: Tensor, queried: Tensor) -> Tensor:
    """What attention gave, and the states that were queried -> states."""
    attention, output = layer.attention.output, layer.output
    attended = functional.linear(context, cast.attended, cast.attended_bias)
    attended = attention.LayerNorm(attention.dropout(attended) + queried)
    between = functional.linear(attended, cast.intermediate, cast.intermediate_bias)
    between = functional.linear(layer.intermediate.intermediate_act_fn(between), cast.output, cast.output_bias)
    return output.LayerNorm(output.dropout(between) + attended)
