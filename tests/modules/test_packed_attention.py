"""The CPU's attention and dropout against the same written out."""

import pytest
import torch

from mmf_visualbert.modules import dropout as dropout_module
from mmf_visualbert.modules import packed_attention as attention_module
from mmf_visualbert.modules.dropout import CheapDropout, Dropout, keep_mask, keep_scale
from mmf_visualbert.modules.packed_attention import PackedStates, packed_attention


def slow(query, key, value, query_lengths, lengths, heads, keeps=None, scale=1.0):
    """One head of one sequence at a time."""
    parts = []
    for number, (q, k, v) in enumerate(
        zip(query.split(query_lengths), key.split(lengths), value.split(lengths), strict=True)
    ):
        contexts = []
        for head, (a, b, c) in enumerate(zip(q.chunk(heads, 1), k.chunk(heads, 1), v.chunk(heads, 1), strict=True)):
            weights = (a @ b.T / a.size(1) ** 0.5).softmax(-1)
            if keeps is not None:
                weights = weights * keeps[number][head] * scale
            contexts.append(weights @ c)
        parts.append(torch.cat(contexts, 1))
    return torch.cat(parts)


def states(*lengths):
    return [torch.randn(length, 8, dtype=torch.float64, requires_grad=True) for length in lengths]


@pytest.mark.parametrize("query_lengths", [[3, 5, 1], [1, 2, 0]])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_attention_and_its_gradient(query_lengths, rate, monkeypatch):
    lengths = [3, 5, 1]
    query, key, value = states(sum(query_lengths), 9, 9)
    keeps = [keep_mask((2, m, n), rate) for m, n in zip(query_lengths, lengths, strict=True)]
    handed_out = iter(keeps)
    monkeypatch.setattr(attention_module, "keep_mask", lambda shape, probability: next(handed_out))
    fast = packed_attention(PackedStates(query, key, value, query_lengths, lengths, 2), rate)
    expected = slow(query, key, value, query_lengths, lengths, 2, keeps, keep_scale(rate))
    torch.testing.assert_close(fast, expected)
    above = torch.randn_like(fast)
    ours = torch.autograd.grad(fast, (query, key, value), above)
    theirs = torch.autograd.grad(expected, (query, key, value), above)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_sequences_do_not_see_each_other():
    query, key, value = states(5, 5, 5)
    before = packed_attention(PackedStates(query, key, value, [2, 3], [2, 3], 2))
    changed = value.detach().clone()
    changed[3] += 1
    after = packed_attention(PackedStates(query, key, changed, [2, 3], [2, 3], 2))
    assert torch.equal(before[:2], after[:2]) and not torch.equal(before[2:], after[2:])


def test_dropout_keeps_the_mean():
    values = torch.ones(1000, 1000)
    dropped = Dropout(0.1).train()(values)
    kept = dropped != 0
    assert abs(kept.float().mean() - 0.9) < 2e-3
    assert torch.equal(dropped[kept].unique(), torch.tensor([keep_scale(0.1)]))
    assert abs(dropped.mean() - 1) < 2e-3
    assert abs(keep_scale(0.1) - 1 / 0.9) < 2e-5


def test_neighbours_are_dropped_independently():
    """Four elements share a random number; they must not share their fate."""
    dropped = 1 - keep_mask((4_000_000,), 0.25).float().view(-1, 4)
    correlation = torch.corrcoef(dropped.T) - torch.eye(4)
    assert correlation.abs().max() < 5e-3
    assert (dropped.mean(0) - 0.25).abs().max() < 2e-3


def test_dropout_and_its_gradient(monkeypatch):
    keep = torch.tensor([[1, 0], [1, 1]], dtype=torch.uint8)
    monkeypatch.setattr(dropout_module, "keep_mask", lambda shape, probability: keep)
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    dropped = CheapDropout.apply(values, 0.5)
    assert dropped.tolist() == [[2.0, 0.0], [6.0, 8.0]]
    dropped.backward(torch.tensor([[1.0, 1.0], [10.0, 100.0]]))
    assert values.grad.tolist() == [[2.0, 0.0], [20.0, 200.0]]


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_dropout_at_its_ends(rate):
    values = torch.randn(3, 5)
    assert torch.equal(Dropout(rate).train()(values), values * (1 - rate))
    assert torch.equal(Dropout(rate).eval()(values), values)


def test_odd_sizes_and_nothing():
    assert keep_mask((3, 7), 0.5).shape == (3, 7)
    assert keep_mask((0, 7), 0.5).shape == (0, 7)
    assert keep_mask((5,), 0.0).tolist() == [1] * 5
