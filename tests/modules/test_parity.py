"""Hidden states against transformers' VisualBertModel and BertModel, with the same weights."""

import pytest
import torch
from tiny_model import DIMENSION, SIZE, joint, ragged, tiny
from transformers import BertConfig, BertModel, VisualBertConfig, VisualBertModel

from mmf_visualbert.modules.inputs import RegionInputs

TOLERANCE = {"atol": 1e-5, "rtol": 0}


def rival(model, **settings):
    """transformers' model with our weights; every one of them has to fit."""
    config = VisualBertConfig(visual_embedding_dim=DIMENSION, special_visual_initialize=False, **SIZE, **settings)
    theirs = VisualBertModel(config).eval()
    theirs.load_state_dict(model.state_dict(), strict=True)
    return theirs


def run(theirs, text, regions, **more):
    return theirs(
        input_ids=text.input_ids,
        attention_mask=text.mask.long(),
        token_type_ids=text.segments,
        visual_embeds=regions.features,
        visual_attention_mask=regions.mask.long(),
        **more,
    )


def compare(encoded, expected, text, regions):
    """States at everything that is no padding. Theirs are not trimmed."""
    full = torch.cat((text.mask, regions.mask), 1)
    ours, mask = joint(encoded)
    torch.testing.assert_close(ours[mask], expected.last_hidden_state[full], **TOLERANCE)
    torch.testing.assert_close(encoded.pooled, expected.pooler_output, **TOLERANCE)


@pytest.mark.parametrize("attention", ["auto", "packed", "sdpa", "eager"])
def test_padded_batch(attention):
    model = tiny(attention=attention)
    text, regions = ragged()
    expected = run(rival(model), text, regions, visual_token_type_ids=regions.segments)
    compare(model(text, regions), expected, text, regions)


def test_their_default_segment_is_one():
    model = tiny()
    text, regions = ragged()
    expected = run(rival(model), text, regions)
    compare(model(text, regions._replace(segments=torch.ones_like(regions.segments))), expected, text, regions)
    zeros, _ = joint(model(text, regions._replace(segments=torch.zeros_like(regions.segments))))
    assert (zeros[0, 0] - expected.last_hidden_state[0, 0]).abs().max() > 1e-3


def test_mean_of_aligned_positions():
    model = tiny(alignment="mean")
    alignment = torch.full((3, 6, 3), -1)
    alignment[0, 0, :2] = torch.tensor([2, 5])
    alignment[1, 3] = torch.tensor([1, 1, 4])
    text, regions = ragged(alignment=alignment)
    expected = run(
        rival(model), text, regions, visual_token_type_ids=regions.segments, image_text_alignment=alignment.clone()
    )
    compare(model(text, regions), expected, text, regions)


def test_no_padding_and_no_mask():
    model = tiny(attention="sdpa")
    text, regions = ragged(lengths=(7, 7, 7), counts=(4, 4, 4), columns=7)
    assert model.layout(text.mask, weights=False).mask is None
    expected = run(rival(model), text, regions, visual_token_type_ids=regions.segments)
    compare(model(text, regions), expected, text, regions)


@pytest.mark.parametrize("attention", ["packed", "sdpa"])
@pytest.mark.parametrize("empty", ["none", "no columns", "all masked"])
def test_without_regions_it_is_bert(attention, empty):
    model = tiny(attention=attention)
    text, regions = ragged()
    if empty == "no columns":
        regions = RegionInputs(*(part if part is None else part[:, :0] for part in regions))
    elif empty == "all masked":
        regions = regions._replace(mask=torch.zeros_like(regions.mask))
    theirs = BertModel(BertConfig(**SIZE)).eval()
    state = {key: value for key, value in model.state_dict().items() if "visual" not in key}
    theirs.load_state_dict(state, strict=True)
    expected = theirs(input_ids=text.input_ids, attention_mask=text.mask.long(), token_type_ids=text.segments)
    encoded = model(text, None if empty == "none" else regions)
    assert encoded.regions.shape == (3, 0, 32)
    mask = encoded.text_mask
    torch.testing.assert_close(encoded.text[mask], expected.last_hidden_state[:, : mask.size(1)][mask], **TOLERANCE)
    torch.testing.assert_close(encoded.pooled, expected.pooler_output, **TOLERANCE)


@pytest.mark.parametrize("attention", ["packed", "sdpa"])
def test_all_layers_states_and_weights(attention):
    model = tiny(attention=attention)
    text, regions = ragged(columns=9, counts=(6, 5, 3))
    regions = RegionInputs(*(part if part is None else part[:, :6] for part in regions))
    expected = run(
        rival(model, attn_implementation="eager"),
        text,
        regions,
        visual_token_type_ids=regions.segments,
        output_attentions=True,
        output_hidden_states=True,
    )
    mask = torch.cat((text.mask, regions.mask), 1)
    both = model(text, regions, output_attentions=True, output_hidden_states=True)
    states_only = model(text, regions, output_hidden_states=True)
    assert states_only.attentions is None and len(both.hidden_states) == 3 and len(both.attentions) == 2
    for encoded in (both, states_only):
        for ours, theirs in zip(encoded.hidden_states, expected.hidden_states, strict=True):
            torch.testing.assert_close(ours[mask], theirs[mask], **TOLERANCE)
    for ours, theirs in zip(both.attentions, expected.attentions, strict=True):
        assert ours.shape == (3, 4, 15, 15)
        real = mask[:, None, :, None].expand_as(ours)
        torch.testing.assert_close(ours[real], theirs[real], **TOLERANCE)
        torch.testing.assert_close(ours.sum(-1), torch.ones(3, 4, 15), **TOLERANCE)
