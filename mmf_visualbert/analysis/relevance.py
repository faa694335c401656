"""What an output of the model rests on: raw attention, rollout, and gradient-based relevance.

Relevance is Chefer et al., "Generic Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder
Transformers" (arXiv 2103.15679), for one stream over words and regions: R starts as the identity, and every layer adds
Ā R, where Ā is the mean over heads of the positive part of gradient times attention. Rollout is Abnar & Zuidema 2020:
the product of (A + I) / 2 over layers, A the mean over heads.

Shapes: L tokens, words first and then regions; T words, R regions.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmf_visualbert.contracts import Batch, Head
from mmf_visualbert.errors import InputError


def rollout(attentions: Sequence[Tensor], length: int) -> Tensor:
    """(L, L): how much of each token's state stems from each token.

    Args:
        attentions: of each layer (heads, L, L); (heads, T, T) in layers that see the text alone (§4).
        length: L.
    """
    identity = torch.eye(length, device=attentions[0].device)
    total = identity
    for weights in attentions:
        total = (_widened(weights.mean(0), length, identity) + identity) / 2 @ total
    return total


def relevance(attentions: Sequence[Tensor], gradients: Sequence[Tensor], length: int) -> Tensor:
    """(L, L): how much each token's state, as far as the output rests on it, rests on each token.

    Args:
        attentions: of each layer (heads, L, L); (heads, T, T) in layers that see the text alone (§4).
        gradients: of the output with respect to each of them.
        length: L.
    """
    identity = torch.eye(length, device=attentions[0].device)
    total = identity
    for weights, gradient in zip(attentions, gradients, strict=True):
        contribution = (gradient * weights).clamp(min=0).mean(0)
        total = total + _widened(contribution, length, torch.zeros_like(identity)) @ total
    return total


def _widened(weights: Tensor, length: int, rest: Tensor) -> Tensor:
    """(L, L) of a layer's (K, K), `rest` where the layer saw nothing."""
    if len(weights) == length:
        return weights
    whole = rest.clone()
    whole[: len(weights), : len(weights)] = weights
    return whole


def score_of(output: Any) -> Tensor:
    """(), what is explained: the sum over a batch of the logits of what the model says.

    Args:
        output: of a head: answers (`scores`), regions of phrases (`phrase_choice` too), masked words, or whether the
            text describes the image.

    Raises:
        InputError: for a head that says nothing of the kind.
    """
    fields = output._asdict()
    if "phrase_choice" in fields:
        phrases = fields["phrase_choice"]
        best = fields["scores"].view(*phrases.shape, -1).amax(-1)
        return best[phrases >= 0].sum()
    if "scores" in fields:
        scores = fields["scores"]
        return scores.amax(-1).sum() if scores.dim() > 1 else scores.sum()
    if "masked_lm_logits" in fields:
        return fields["masked_lm_logits"].amax(-1).sum()
    if "sentence_image_logits" in fields:
        logits = fields["sentence_image_logits"]
        return (logits[:, 1] - logits[:, 0]).sum()
    raise InputError(f"a head that gives {', '.join(fields)} says nothing that could be explained; name another head")


def gradients_of(score: Tensor, attentions: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of `score` with respect to the weights of each layer; 0 where it does not rest on them."""
    found = torch.autograd.grad(score, list(attentions), allow_unused=True, retain_graph=True)
    return [
        torch.zeros_like(weights) if gradient is None else gradient
        for weights, gradient in zip(attentions, found, strict=True)
    ]


def rows_read(head: Head, batch: Batch, words: int) -> Tensor:
    """(B, T) bool, the words whose last state decides what the head says.

    Args:
        head: of the model.
        batch: what it reads.
        words: T, of the trimmed batch.
    """
    ids = batch["input_ids"].flatten(0, -2)[:, :words]
    rows = torch.zeros_like(ids, dtype=torch.bool)
    if head.needs_pooler:
        rows[:, 0] = True
        return rows
    stated = head.rows(batch)
    if stated is not None:
        return stated[:, :words]
    positions = batch.get("phrase_positions")
    if positions is None:
        return batch["text_mask"].flatten(0, -2)[:, :words]
    for row, places in zip(rows, positions, strict=True):
        row[places[places >= 0]] = True
    return rows
