"""Attention kernels for padded batches.

A kernel takes query (B, heads, K, d), key and value (B, heads, L, d), a mask that broadcasts to (B, heads, K, L) with
True where attention is allowed, or None, and the probability of dropping a weight. It gives the context (B, heads, K,
d) and the weights (B, heads, K, L), or None in place of the weights.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None, float], tuple[Tensor, Tensor | None]]


def eager(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> tuple[Tensor, Tensor | None]:
    """softmax(q k^T / sqrt(d)) v, written out; the weights are those before dropout."""
    scores = (query * query.size(-1) ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    return functional.dropout(weights, dropout, training=dropout > 0) @ value, weights


def sdpa(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> tuple[Tensor, Tensor | None]:
    """torch's fused attention; it never gives weights."""
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout), None
