"""On a GPU: packed attention is the padded one, a layer cast together is autocast's, and all is what the CPU gives."""

import pytest
import torch
from tiny_model import joint, ragged, tiny

from mmf_visualbert.modules import encoder, layout
from mmf_visualbert.modules.inputs import RegionInputs, TextInputs
from mmf_visualbert.modules.packed_kernels import KERNELS, chosen_kernel, padded, why_not

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
KINDS = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Of the largest number: rounding to the type, through a few layers.
NEAR = {"fp32": 2e-5, "bf16": 4e-2}
OTHER_DEVICE = 1e-4  # which adds in another order throughout
WIDE = {"hidden_size": 256, "intermediate_size": 512}  # heads of 64, as BERT's


def to_gpu(text, regions):
    """The same on the GPU, with its masks on the CPU."""
    text, regions = ([each if each is None else each.cuda() for each in inputs[:-1]] for inputs in (text, regions))
    return TextInputs(*text, text[1].cpu()), RegionInputs(*regions, regions[1].cpu())


def results(model, inputs, kind, weights):
    """The loss and its gradients, of all states, chosen ones and the pooled."""
    text, regions = inputs
    rows = torch.zeros_like(text.mask).index_fill(1, torch.tensor([0, 2], device=text.mask.device), True) & text.mask
    with torch.autocast(text.mask.device.type, torch.bfloat16, enabled=kind == "bf16"):
        encoded = model(text, regions)
        states, mask = joint(encoded)
        chosen = model(text, regions, last_layer_rows=rows).text[rows[:, : encoded.text.size(1)]]
    loss = (states.float() * weights)[mask].sum() + chosen.float().square().sum() + encoded.pooled.float().sum()
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    return [each.detach().cpu() for each in (loss, *gradients) if each is not None]


def compare(ours, theirs, near):
    """Each within `near` of the largest number of all gradients: those of the keys' biases are 0 but for rounding."""
    assert len(ours) == len(theirs) > 20
    largest = max(float(each.abs().max()) for each in theirs[1:])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=near * largest, rtol=near)


@pytest.mark.parametrize("with_dropout", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_is_right_here(kind, with_dropout):
    chosen_kernel.cache_clear()
    with torch.inference_mode():
        assert chosen_kernel(torch.device("cuda", 0), KINDS[kind], with_dropout) is not padded
    chosen_kernel.cache_clear()
    assert chosen_kernel(torch.device("cuda", 0), KINDS[kind], with_dropout) is not padded


@pytest.mark.parametrize("counts", [(5, 5, 3), (0, 2, 1)])
@pytest.mark.parametrize("fusion", ["early", "late"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", KERNELS)
def test_the_model_is_the_padded_one(name, kind, fusion, counts, monkeypatch):
    reason = why_not(name, torch.device("cuda", 0), KINDS[kind], with_dropout=False)
    if reason is not None:
        pytest.skip(reason)
    fast, slow = (tiny(attention=each, fusion=fusion, **WIDE).cuda() for each in ("packed", "sdpa"))
    slow.load_state_dict(fast.state_dict())
    monkeypatch.setattr(layout, "kernel_for", lambda *_: KERNELS[name])
    inputs = to_gpu(*ragged(counts=counts))
    weights = torch.randn(3, 9 + max(counts), 256).cuda()
    compare(results(fast, inputs, kind, weights), results(slow, inputs, kind, weights), NEAR[kind])


@pytest.mark.parametrize("attention", ["auto", "packed", "sdpa"])
def test_the_model_is_the_cpus(attention):
    on_cpu, on_gpu = tiny(**WIDE), tiny(**WIDE, attention=attention)
    on_gpu.load_state_dict(on_cpu.state_dict())
    on_gpu.cuda()
    inputs, weights = ragged(), torch.randn(3, 14, 256)
    compare(
        results(on_gpu, to_gpu(*inputs), "fp32", weights.cuda()),
        results(on_cpu, inputs, "fp32", weights),
        OTHER_DEVICE,
    )


@pytest.mark.parametrize("attention", ["packed", "sdpa"])
def test_a_layer_cast_together_is_that_of_autocast(attention, monkeypatch):
    model = tiny(attention=attention, **WIDE).cuda()
    inputs, weights = to_gpu(*ragged()), torch.randn(3, 14, 256).cuda()
    fast = results(model, inputs, "bf16", weights)
    monkeypatch.setattr(encoder, "casts", lambda device: False)
    compare(fast, results(model, inputs, "bf16", weights), NEAR["bf16"])


def test_dropout_in_training_repeats_by_the_seed():
    model = tiny(attention="packed", attention_probs_dropout_prob=0.5, **WIDE).cuda().train()
    inputs = to_gpu(*ragged())
    pooled = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        with torch.autocast("cuda", torch.bfloat16):
            pooled.append(model(*inputs).pooled)
    assert torch.equal(pooled[0], pooled[1]) and not torch.equal(pooled[0], pooled[2])
