"""Under autocast on a GPU a layer's weights are cast together: the same numbers as autocast's own way gives."""

import pytest
import torch
from tiny_model import joint, ragged, tiny

from mmf_visualbert.modules import encoder
from mmf_visualbert.modules.cast_layer import CastTogether


def results(model, given):
    """The states, the pooled and all gradients, of all positions and of chosen ones."""
    text, regions = given
    rows = torch.zeros_like(text.mask).index_fill(1, torch.tensor([0, 2]), True) & text.mask
    with torch.autocast("cpu", torch.bfloat16):
        encoded = model(text, regions)
        chosen = model(text, regions, last_layer_rows=rows)
    states, mask = joint(encoded)
    found = [states[mask].float(), encoded.pooled.float(), chosen.text[rows[:, : chosen.text.size(1)]].float()]
    loss = sum(each.square().sum() for each in found)
    return [
        *found,
        *torch.autograd.grad(loss, [each for _, each in sorted(model.named_parameters())], allow_unused=True),
    ]


@pytest.mark.parametrize("attention", ["packed", "sdpa"])
@pytest.mark.parametrize("fusion", ["early", "late"])
def test_a_layer_is_that_of_autocast(attention, fusion, monkeypatch):
    model = tiny(attention=attention, fusion=fusion)
    given = ragged()
    slow = results(model, given)
    monkeypatch.setattr(encoder, "casts", lambda device: True)
    fast = results(model, given)
    assert len(fast) == len(slow) > 30
    for ours, theirs in zip(fast, slow, strict=True):
        if theirs is not None:
            assert ours.dtype == theirs.dtype == torch.float32
            torch.testing.assert_close(ours, theirs, atol=0.03 * float(theirs.detach().abs().max()) + 0.05, rtol=0.02)


class Doubling(torch.nn.Linear):
    """As an adapter has it: a map with more to it than its weight."""

    def forward(self, states):
        return 2 * super().forward(states)


def hooked(layer):
    layer.attention.self.value.register_forward_hook(lambda module, given, output: 2 * output)


def replaced(layer):
    doubling = Doubling(32, 32)
    doubling.load_state_dict(layer.attention.self.value.state_dict())
    layer.attention.self.value = doubling


def hooked_block(layer):
    layer.output.register_forward_hook(lambda module, given, output: 2 * output)


class Adapter(torch.nn.Module):
    """In place of a whole block, which it has within."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, states, *rest):
        return 2 * self.block(states, *rest)


def wrapped_block(layer):
    layer.intermediate = Adapter(layer.intermediate)


def without_bias(layer):
    layer.output.dense.bias = None
    layer.output.dense.weight.data *= 3


@pytest.mark.parametrize("change", [hooked, replaced, hooked_block, wrapped_block, without_bias])
def test_an_adapter_is_not_passed_by(change, monkeypatch):
    monkeypatch.setattr(encoder, "casts", lambda device: True)
    model, given = tiny(), ragged()
    with torch.autocast("cpu", torch.bfloat16):
        before = model(*given).pooled
        change(model.encoder.layers[0])
        after = model(*given).pooled
        monkeypatch.setattr(encoder, "casts", lambda device: False)
        assert torch.equal(after, model(*given).pooled) and not torch.allclose(before, after, atol=0.01)


def test_a_hook_for_gradients_is_run(monkeypatch):
    monkeypatch.setattr(encoder, "casts", lambda device: True)
    model, heard = tiny(), []
    for part in (model.encoder.layers[0].output.dense, model.encoder.layers[0].intermediate):
        part.register_full_backward_hook(lambda module, given, above: heard.append(type(module).__name__))
    with torch.autocast("cpu", torch.bfloat16):
        model(*ragged()).pooled.float().sum().backward()
    assert sorted(heard) == ["BertIntermediate", "Linear"]


def test_casting_together_is_casting_each():
    weights = [torch.randn(3, 4), torch.randn(2, 4), torch.randn(5), torch.randn(1, 2)]
    weights = [weight.requires_grad_() for weight in weights]
    both, bias, last = CastTogether.apply(torch.bfloat16, (2, 1, 1), *weights)
    assert torch.equal(both, torch.cat(weights[:2]).bfloat16()) and torch.equal(bias, weights[2].bfloat16())
    above = [torch.randn_like(each) for each in (both, bias, last)]
    found = torch.autograd.grad((both, bias, last), weights, above)
    wanted = [above[0][:3].float(), above[0][3:].float(), above[1].float(), above[2].float()]
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
