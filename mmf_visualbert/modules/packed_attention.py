"""Attention over sequences that lie one after the other without padding, for the CPU.

torch's fused attention has no dropout on the CPU (it falls back to single precision and many passes), and in bfloat16
its backward pass takes three times as long as plain matrix products. Here each sequence is attended to by itself, on
views of the packed states: no mask, no padding, no copy to a padded shape.

Shapes: N tokens of B sequences, M queries of the same B sequences, H = heads * d hidden size.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmf_visualbert.modules.dropout import keep_mask, keep_scale


class PackedStates(NamedTuple):
    """What attention is computed of.

    Attributes:
        query: (M, H).
        key: (N, H).
        value: (N, H).
        query_lengths: queries of each sequence, M in all.
        lengths: tokens of each sequence, N in all.
        num_heads: attention heads.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    query_lengths: Sequence[int]
    lengths: Sequence[int]
    num_heads: int


def packed_attention(states: PackedStates, dropout: float = 0.0) -> Tensor:
    """softmax(q k^T / sqrt(d)) v of each sequence's queries over the same sequence's tokens, (M, H).

    Args:
        states: packed.
        dropout: probability, below 1, of dropping a weight.
    """
    query, key, value, query_lengths, lengths, num_heads = states
    return PackedAttention.apply(query, key, value, tuple(query_lengths), tuple(lengths), num_heads, dropout)


def by_sequence(states: Tensor, lengths: Sequence[int], num_heads: int) -> list[Tensor]:
    """Views (heads, length, d) of each sequence in (N, H)."""
    return [part.unflatten(1, (num_heads, -1)).transpose(0, 1) for part in states.split(lengths)]


def product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """scale * left @ right in one pass, (heads, a, b) x (heads, b, c) -> (heads, a, c)."""
    result = left.new_empty(left.size(0), left.size(1), right.size(2))
    return torch.baddbmm(result, left, right, beta=0, alpha=scale)


class PackedAttention(torch.autograd.Function):
    """See `packed_attention`. Kept for the backward pass: q, k, v, the weights, and one byte a weight for dropout."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        query_lengths: tuple[int, ...],
        lengths: tuple[int, ...],
        num_heads: int,
        dropout: float,
    ) -> Tensor:
        """(M, H)."""
        ctx.lengths, ctx.num_heads, ctx.dropout = (query_lengths, lengths), num_heads, dropout
        context = torch.empty_like(query)
        kept = []
        sequences = zip(
            by_sequence(query, query_lengths, num_heads),
            by_sequence(key, lengths, num_heads),
            by_sequence(value, lengths, num_heads),
            by_sequence(context, query_lengths, num_heads),
            strict=True,
        )
        for q, k, v, out in sequences:
            weights = product(q, k.transpose(1, 2), q.size(-1) ** -0.5).softmax(dim=-1)
            kept.append(weights)
            if dropout:
                kept.append(keep_mask(weights.shape, dropout))
                weights = weights * kept[-1]
            out.copy_(product(weights, v, keep_scale(dropout)))
        ctx.save_for_backward(query, key, value, *kept)
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of query, key and value."""
        query, key, value, *kept = ctx.saved_tensors
        (query_lengths, lengths), num_heads, scale = ctx.lengths, ctx.num_heads, keep_scale(ctx.dropout)
        gradients = [torch.empty_like(states) for states in (query, key, value)]
        to_views = (query_lengths, lengths, lengths)
        inputs = [by_sequence(t, n, num_heads) for t, n in zip((query, key, value), to_views, strict=True)]
        outputs = [by_sequence(t, n, num_heads) for t, n in zip(gradients, to_views, strict=True)]
        for number, above in enumerate(by_sequence(gradient, query_lengths, num_heads)):
            q, k, v = (states[number] for states in inputs)
            dq, dk, dv = (states[number] for states in outputs)
            if ctx.dropout:
                weights, keep = kept[2 * number], kept[2 * number + 1]
                dv.copy_(product((weights * keep).transpose(1, 2), above, scale))
                above_weights = product(above, v.transpose(1, 2), scale).mul_(keep)
            else:
                weights = kept[number]
                dv.copy_(torch.bmm(weights.transpose(1, 2), above))
                above_weights = torch.bmm(above, v.transpose(1, 2))
            above_scores = torch._softmax_backward_data(above_weights, weights, -1, weights.dtype)
            dq.copy_(product(above_scores, k, q.size(-1) ** -0.5))
            dk.copy_(product(above_scores.transpose(1, 2), q, q.size(-1) ** -0.5))
        return (*gradients, None, None, None, None)
