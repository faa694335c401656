"""What attends to packed sequences on a GPU, where it runs on the CPU too: equal to the CPU's own and to the padded."""

import pytest
import torch
from tiny_model import joint, ragged, tiny

from mmf_visualbert.modules import layout, packed_kernels
from mmf_visualbert.modules.packed_attention import PackedStates, packed_attention
from mmf_visualbert.modules.packed_kernels import chosen_kernel, kernel_for, nested, padded, why_not

CPU = torch.device("cpu")


@pytest.mark.parametrize("kernel", [nested, padded])
@pytest.mark.parametrize("query_lengths", [[3, 5, 1], [1, 2, 0]])
def test_context_and_gradients(kernel, query_lengths):
    rows, lengths = (sum(query_lengths), 9, 9), [3, 5, 1]
    given = [torch.randn(count, 8, dtype=torch.float64, requires_grad=True) for count in rows]
    above = torch.randn(rows[0], 8, dtype=torch.float64)
    results = []
    for each in (kernel, packed_attention):
        context = each(PackedStates(*given, query_lengths, lengths, 2), 0.0)
        results.append([context, *torch.autograd.grad(context, given, above)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kernel", [nested, padded])
@pytest.mark.parametrize("fusion", ["early", "late"])
@pytest.mark.parametrize("counts", [(5, 5, 3), (0, 2, 1)])
def test_the_model_is_the_padded_one(kernel, fusion, counts, monkeypatch):
    fast, slow = (tiny(attention=name, fusion=fusion).double() for name in ("packed", "sdpa"))
    slow.load_state_dict(fast.state_dict())
    monkeypatch.setattr(layout, "kernel_for", lambda *_: kernel)
    text, regions = ragged(counts=counts)
    rows = torch.zeros_like(text.mask).index_fill(1, torch.tensor([0, 2]), True) & text.mask
    weights = torch.randn(3, 9 + max(counts), 32).double()
    found = []
    for model in (fast, slow):
        encoded = model(text, regions)
        states, mask = joint(encoded)
        chosen = model(text, regions, last_layer_rows=rows).text[rows[:, :9]]
        loss = (states * weights)[mask].sum() + chosen.square().sum() + encoded.pooled.sum()
        found.append([loss, *torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)])
    assert any(gradient is not None for gradient in found[0][1:])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_model_in_bfloat16_is_near(monkeypatch):
    model = tiny(attention="packed")
    text, regions = ragged()
    monkeypatch.setattr(layout, "kernel_for", lambda *_: nested)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(text, regions).pooled.float()
    torch.testing.assert_close(found, model(text, regions).pooled, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("kernel", [nested, padded])
def test_dropout_in_training_repeats_by_the_seed(kernel, monkeypatch):
    model = tiny(attention="packed", attention_probs_dropout_prob=0.5).train()
    monkeypatch.setattr(layout, "kernel_for", lambda *_: kernel)
    text, regions = ragged()
    pooled = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        pooled.append(model(text, regions).pooled)
    assert torch.equal(pooled[0], pooled[1]) and not torch.equal(pooled[0], pooled[2])


@pytest.mark.parametrize("with_dropout", [True, False])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_probe_takes_what_is_right(kind, with_dropout, caplog):
    chosen_kernel.cache_clear()
    before = torch.get_rng_state()
    with caplog.at_level("INFO", logger="mmf_visualbert"):
        assert chosen_kernel(CPU, kind, with_dropout) is nested
    assert torch.equal(torch.get_rng_state(), before), "a run draws as it would without"
    assert "flash_attn: not installed" in caplog.text
    assert ("varlen_attn: " in caplog.text) is not with_dropout, "it has no kernel for the CPU"


def test_the_probe_takes_it_in_an_evaluation_too():
    chosen_kernel.cache_clear()
    with torch.inference_mode():
        assert chosen_kernel(CPU, torch.float32, False) is nested


def less_gradient(states):
    """The same values with a tenth of the gradient missing."""
    return states.detach() + 0.9 * (states - states.detach())


WRONG = {
    "context": lambda states, dropout: nested(states, dropout) * 1.01,
    "gradient of query": lambda states, dropout: nested(states._replace(query=less_gradient(states.query)), dropout),
    "gradient of value": lambda states, dropout: nested(states._replace(value=less_gradient(states.value)), dropout),
    "dropout of ones": lambda states, dropout: nested(states, 0.0),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_probe_declines_what_is_not(what, monkeypatch):
    monkeypatch.setitem(packed_kernels.KERNELS, "nested", WRONG[what])
    assert what in why_not("nested", CPU, torch.float32, with_dropout=True)
    chosen_kernel.cache_clear()
    assert chosen_kernel(CPU, torch.float32, with_dropout=True) is padded
    chosen_kernel.cache_clear()


def test_the_cpu_keeps_its_own():
    assert kernel_for(CPU, torch.float32, 0.1) is packed_attention
