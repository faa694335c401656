"""Fast paths against slow ones, late fusion by hand, precision, saving."""

import pytest
import torch
from tiny_model import joint, ragged, tiny
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertLayer

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.encoder import Layer
from mmf_visualbert.modules.inputs import RegionInputs, TextInputs

CLOSE = {"atol": 1e-5, "rtol": 1e-4}


def pair(fusion="early", **settings):
    """The same weights behind packed and behind padded attention."""
    fast, slow = tiny(attention="packed", fusion=fusion, **settings), tiny(attention="eager", fusion=fusion, **settings)
    slow.load_state_dict(fast.state_dict())
    return fast, slow


def gradients(model, output):
    model.zero_grad()
    output.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("fusion", ["early", "late"])
@pytest.mark.parametrize("counts", [(5, 5, 3), (4, 4, 4), (0, 2, 1)])
def test_packed_is_padded(fusion, counts):
    # In float64, so that only the layout can make a difference: sums of fp32 depend on the processor's order of adding.
    fast, slow = (model.double() for model in pair(fusion))
    text, regions = ragged(counts=counts)
    weights = torch.randn(3, 9 + max(counts), 32).double()
    results = []
    for model in (fast, slow):
        encoded = model(text, regions)
        states, mask = joint(encoded)
        results.append((states[mask], encoded.pooled, gradients(model, (states * weights)[mask].sum())))
    for ours, theirs in zip(results[0][:2], results[1][:2], strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)
    trained = [name for name in results[1][2] if "pooler" not in name]
    ours, theirs = ({name: found[2][name] for name in trained} for found in results)
    torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("attention", ["packed", "sdpa", "eager"])
@pytest.mark.parametrize("fusion", ["early", "late"])
def test_chosen_rows_are_those_of_the_full_pass(attention, fusion):
    model = tiny(attention=attention, fusion=fusion)
    text, regions = ragged()
    rows = torch.zeros_like(text.mask)
    rows[0, [3, 7]] = rows[2, 2] = rows[2, 0] = True  # none in the second, [CLS] twice over in the third
    full, chosen = model(text, regions), model(text, regions, last_layer_rows=rows)
    rows = rows[:, :9]
    torch.testing.assert_close(chosen.text[rows], full.text[rows], **CLOSE)
    torch.testing.assert_close(chosen.pooled, full.pooled, **CLOSE)
    assert chosen.regions.shape == full.regions.shape and chosen.regions.isnan().all()
    assert chosen.text[1, 4].isnan().all()
    weights = torch.randn(3, 9, 32)
    ours = gradients(model, (chosen.text * weights)[rows].sum() + chosen.pooled.sum())
    full = model(text, regions)
    theirs = gradients(model, (full.text * weights)[rows].sum() + full.pooled.sum())
    torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("attention", ["packed", "sdpa"])
def test_no_row_at_all(attention):
    model = tiny(attention=attention, pooler=False)
    text, regions = ragged()
    encoded = model(text, regions, last_layer_rows=torch.zeros_like(text.mask))
    assert encoded.text.isnan().all() and encoded.pooled is None


def test_last_layer_computes_the_chosen_rows_alone():
    model = tiny()
    text, regions = ragged()
    rows = torch.zeros_like(text.mask)
    rows[:, 4] = True
    seen = []
    model.encoder.layer[-1].intermediate.register_forward_hook(lambda module, given, made: seen.append(made.shape))
    model(text, regions, last_layer_rows=rows)
    assert seen == [(6, 64)]  # of 3 sequences, [CLS] and the chosen one


def test_layers_work_on_tokens_alone():
    model = tiny()
    text, regions = ragged()
    seen = []
    model.encoder.layer[0].intermediate.register_forward_hook(lambda module, given, made: seen.append(made.shape))
    model(text, regions)
    assert seen == [(9 + 6 + 8 + 5 + 5 + 3, 64)]


def test_layer_is_berts():
    config = BertConfig(hidden_size=32, num_attention_heads=4, intermediate_size=64, attn_implementation="eager")
    theirs = BertLayer(config).eval()
    states = torch.randn(2, 7, 32)
    expected = theirs(states, None)
    expected = expected[0] if isinstance(expected, tuple) else expected
    model = tiny()
    ours = Layer(theirs).eval()(states, model.layout(torch.ones(2, 7, dtype=torch.bool), weights=True)).states
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)


def test_padding_has_no_influence():
    model = tiny()
    text, regions = ragged()
    noisy_text = text._replace(input_ids=torch.where(text.mask, text.input_ids, 77))
    noisy_regions = regions._replace(features=regions.features + 9 * (~regions.mask)[..., None])
    ours, mask = joint(model(noisy_text, noisy_regions))
    assert torch.equal(ours[mask], joint(model(text, regions))[0][mask])


def test_padding_between_the_regions_of_two_images():
    model = tiny()
    text, regions = ragged(counts=(6, 6, 6))
    gap = regions._replace(mask=regions.mask.clone())
    gap.mask[1, 2:4] = False
    order = [0, 1, 4, 5, 2, 3, 6]
    moved = RegionInputs(gap.features[:, order], gap.mask[:, order], gap.segments[:, order])
    ours, theirs = model(text, gap), model(text, moved)
    torch.testing.assert_close(ours.text[1], theirs.text[1], **CLOSE)
    torch.testing.assert_close(ours.regions[1, [0, 1, 4, 5]], theirs.regions[1, :4], **CLOSE)


def test_late_fusion_by_hand():
    model = tiny(fusion="late", attention="eager")
    text, regions = ragged(lengths=(8, 8, 5), counts=(4, 4, 2), columns=8)
    regions = RegionInputs(*(part if part is None else part[:, :4] for part in regions))
    embeddings = model.embeddings
    words = embeddings.finish(embeddings.text(text))
    for layer in model.encoder.layer:
        words = layer(words, model.layout(text.mask, weights=True)).states
    both = torch.cat((words, embeddings.finish(embeddings.regions(regions))), 1)
    mask = torch.cat((text.mask, regions.mask), 1)
    expected = model.additional_layer(both, model.layout(mask, weights=True)).states
    encoded = model(text, regions)
    torch.testing.assert_close(joint(encoded)[0][mask], expected[mask], **CLOSE)
    torch.testing.assert_close(encoded.pooled, model.pooler(expected[:, 0]), **CLOSE)
    assert torch.equal(model(text, regions, last_layer_rows=text.mask).text_mask, text.mask)


def test_late_fusion_keeps_regions_from_the_words_until_the_end():
    model = tiny(fusion="late")
    text, regions = ragged()
    other = regions._replace(features=torch.randn_like(regions.features))
    ours, theirs = (model(text, given, output_attentions=True, output_hidden_states=True) for given in (regions, other))
    assert [states.size(1) for states in ours.hidden_states] == [9, 9, 9, 14]
    assert [weights.size(-1) for weights in ours.attentions] == [9, 9, 14]
    mask = ours.text_mask
    assert torch.equal(ours.hidden_states[-2][mask], theirs.hidden_states[-2][mask])
    assert not torch.allclose(ours.text[mask], theirs.text[mask])


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_several_texts_an_image(fusion):
    model = tiny(fusion=fusion)
    text, _ = ragged(lengths=(9, 6, 8, 4), counts=(1,))
    alignment = torch.randint(-1, 4, (4, 6, 2))
    _, regions = ragged(lengths=(1, 1), counts=(5, 3))
    copies = RegionInputs(*(None if part is None else part.repeat_interleave(2, 0) for part in regions))
    for given, every in (
        (None, None),
        (alignment, alignment),
        (alignment[::2], alignment[::2].repeat_interleave(2, 0)),
    ):
        ours = model(text, regions._replace(alignment=given))
        theirs = model(text, copies._replace(alignment=every))
        torch.testing.assert_close(joint(ours)[0], joint(theirs)[0], **CLOSE)
        assert torch.equal(ours.region_mask, theirs.region_mask)
    with pytest.raises(InputError, match="4 texts cannot be shared out evenly over 3 images"):
        model(text, RegionInputs(*(None if part is None else part[:3] for part in copies)))


@pytest.mark.parametrize("attention", ["packed", "sdpa", "eager"])
def test_bfloat16_is_near_and_trains(attention):
    model = tiny(attention=attention)
    text, regions = ragged()
    expected, mask = joint(model(text, regions))
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        model(text, regions).pooled.float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    model.eval()
    with torch.autocast("cpu", torch.bfloat16):
        states, _ = joint(model(text, regions._replace(features=regions.features.half())))
    assert (states.float() - expected)[mask].abs().mean() < 0.03


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_gradient_checkpointing_changes_nothing(fusion):
    plain, thrifty = tiny(fusion=fusion), tiny(fusion=fusion, gradient_checkpointing=True)
    thrifty.load_state_dict(plain.state_dict())
    text, regions = ragged()
    results = []
    for model in (plain, thrifty):
        torch.manual_seed(1)
        results.append(gradients(model.train(), model(text, regions, last_layer_rows=text.mask).pooled.sum()))
    torch.testing.assert_close(*results, **CLOSE)


def test_dropout_is_repeated_by_the_seed():
    model = tiny().train()
    text, regions = ragged()
    results = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        results.append(model(text, regions).pooled)
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_every_parameter_has_a_gradient_without_regions_too():
    for fusion in ("early", "late"):
        model = tiny(fusion=fusion).train()
        text, regions = ragged()
        nothing = RegionInputs(*(part if part is None else part[:, :0] for part in regions))
        for given in (regions, nothing, regions._replace(mask=torch.zeros_like(regions.mask))):
            found = gradients(model, model(text, given).pooled.sum())
            assert [name for name, gradient in found.items() if gradient is None] == []


def test_saved_and_loaded(tmp_path):
    model = tiny(fusion="late")
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    again = tiny(fusion="late")
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    text, regions = ragged()
    assert torch.equal(model(text, regions).pooled, again(text, regions).pooled)


def test_what_does_not_fit_is_refused():
    model = tiny()
    text, regions = ragged()
    with pytest.raises(InputError, match="23 dimensions, but the model's region_dimension is 24"):
        model(text, regions._replace(features=regions.features[..., 1:]))
    long = torch.ones(1, 49, dtype=torch.int64)
    with pytest.raises(InputError, match="49 word pieces is longer than this model's 48 positions"):
        model(TextInputs(long, long.bool(), long * 0))
    with pytest.raises(InputError, match="attention is 'flush'"):
        tiny(attention="flush")
    with pytest.raises(InputError, match="alignment is 'max'"):
        tiny(alignment="max")
    with pytest.raises(InputError, match="fusion is 'middle'"):
        tiny(fusion="middle")


@pytest.mark.parametrize("attention", ["packed", "sdpa"])
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_states_left_out_do_not_alarm_anomaly_detection(attention):
    """MMF's PyPI release trains with anomaly detection, which raises where a gradient is NaN."""
    model = tiny(attention=attention).train()
    text, regions = ragged()
    rows = torch.zeros_like(text.mask)
    rows[:, 3] = True
    with torch.autograd.set_detect_anomaly(True):
        encoded = model(text, regions, last_layer_rows=rows)
        (encoded.text[rows[:, : encoded.text.size(1)]].sum() + encoded.pooled.sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
