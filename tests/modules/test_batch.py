"""From a collated batch to the encoder's inputs: several texts on one image are flattened, image by image."""

import torch

from mmf_visualbert.modules.batch import visual_bert_inputs

B, C, T, R, A, D = 2, 3, 5, 4, 2, 6


def numbered(*shape):
    return torch.arange(torch.Size(shape).numel()).reshape(shape)


def sample(texts=(B,), alignment=True):
    batch = {
        "input_ids": numbered(*texts, T),
        "text_mask": numbered(*texts, T) % 3 > 0,
        "text_segments": numbered(*texts, T) % 2,
        "region_features": torch.randn(B, R, D),
        "region_mask": numbered(B, R) % 2 > 0,
        "region_segments": numbered(B, R) % 2,
    }
    if alignment:
        batch["alignment"] = numbered(*texts, R, A)
    return batch


def test_one_text_an_image_is_passed_on():
    batch = sample()
    text, regions = visual_bert_inputs(batch)
    assert text.input_ids is batch["input_ids"] and text.mask is batch["text_mask"]
    assert text.segments is batch["text_segments"]
    assert regions.features is batch["region_features"] and regions.mask is batch["region_mask"]
    assert regions.segments is batch["region_segments"] and regions.alignment is batch["alignment"]


def test_several_texts_are_flattened_row_by_row():
    batch = sample((B, C))
    text, regions = visual_bert_inputs(batch)
    assert text.input_ids.shape == text.mask.shape == text.segments.shape == (B * C, T)
    assert regions.alignment.shape == (B * C, R, A)
    for image in range(B):
        for choice in range(C):
            row = image * C + choice
            assert torch.equal(text.input_ids[row], batch["input_ids"][image, choice])
            assert torch.equal(text.mask[row], batch["text_mask"][image, choice])
            assert torch.equal(regions.alignment[row], batch["alignment"][image, choice])
    assert regions.features.shape == (B, R, D) and regions.mask.shape == (B, R)  # once an image


def test_alignment_may_be_missing():
    assert visual_bert_inputs(sample((B, C), alignment=False))[1].alignment is None


def test_no_features_are_no_regions():
    batch = sample()
    del batch["region_features"]
    text, regions = visual_bert_inputs(batch)
    assert regions is None and text.input_ids.shape == (B, T)


def test_features_of_a_region_encoder_come_first():
    batch, made = sample(), torch.randn(B, R, D)
    assert visual_bert_inputs(batch, made)[1].features is made
    del batch["region_features"]
    assert visual_bert_inputs(batch, made)[1].features is made
