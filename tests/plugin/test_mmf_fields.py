"""Batches under MMF's field names are those under ours: text, regions, two images, labels of pre-training."""

import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.mmf_fields import under_mmf_names, under_our_names


def batch(**more):
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
    features = torch.rand(2, 3, 5) + 0.1
    features[1, 2:] = 0
    return {"input_ids": torch.arange(8).view(2, 4), "input_mask": mask, "image_feature_0": features, **more}


def test_ours_is_left_alone():
    given = {"text_mask": torch.ones(1, 2), "input_mask": torch.zeros(1, 2)}
    assert under_our_names(given) is given


@pytest.mark.parametrize(
    "info",
    [
        None,
        {"max_features": torch.tensor([3, 2])},
        {"max_features": [3, 2]},
        [{"max_features": torch.tensor(3)}, {"max_features": 2}],
    ],
)
def test_regions_are_counted_however_a_dataset_says_it(info):
    given = batch() if info is None else batch(image_info_0=info)
    ours = under_our_names(given)
    assert ours["text_mask"].tolist() == [[True, True, True, False], [True, True, False, False]]
    assert ours["region_mask"].tolist() == [[True, True, True], [True, True, False]]
    assert torch.equal(ours["region_features"], given["image_feature_0"]) and not ours["region_segments"].any()
    assert not ours["text_segments"].any()


def test_two_images_follow_each_other():
    first, second = batch(), batch()
    text = {name: first[name] for name in ("input_ids", "input_mask")}
    ours = under_our_names({**text, "img0": first, "img1": second})
    assert ours["region_features"].shape == (2, 6, 5) and ours["region_segments"][0].tolist() == [0, 0, 0, 1, 1, 1]
    assert ours["region_mask"][1].tolist() == [True, True, False] * 2


def test_labels_of_pre_training():
    labels = torch.full((2, 4), -1)
    labels[0, 1] = labels[1, 3] = 7
    ours = under_our_names(batch(lm_label_ids=labels, is_correct=torch.tensor([1, 0]), segment_ids=torch.ones(2, 4)))
    assert ours["masked_lm_labels"][0, 1] == 7 and (ours["masked_lm_labels"] != -1).sum() == 1, "padding has no label"
    assert ours["sentence_image_labels"].tolist() == [1, 0] and ours["text_segments"].all()


def test_a_sample_of_ours_under_mmf_names_is_the_same_again():
    text = torch.tensor([True, True, False])
    ours = {"input_ids": torch.arange(3), "text_mask": text, "text_segments": torch.tensor([0, 1, 0])}
    ours["masked_lm_labels"] = torch.tensor([-1, 7, -1])
    regions = {"region_features": torch.rand(4, 5).half(), "region_mask": torch.tensor([True, True, True, False])}
    theirs = under_mmf_names({**ours, **regions})
    assert theirs["image_feature_0"].dtype == torch.float32 and theirs["image_info_0"] == {"max_features": 3}
    batch = {name: value[None] for name, value in theirs.items() if name != "image_info_0"}
    again = under_our_names({"input_ids": ours["input_ids"][None], **batch, "image_info_0": theirs["image_info_0"]})
    for name, value in {**ours, "region_mask": regions["region_mask"]}.items():
        assert torch.equal(again[name][0], value), name
    assert "image_feature_0" not in under_mmf_names(ours), "a text alone"


def test_a_dataset_without_word_pieces_is_named():
    with pytest.raises(InputError, match="'vqa2' gives no input_ids and input_mask, but dataset_name, text; set"):
        under_our_names({"dataset_name": "vqa2", "text": torch.zeros(1)})
