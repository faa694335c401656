"""The RoI backbone and the region encoder around it."""

import copy
import inspect

import pytest
import torch
from torch import nn

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vcr.roi_backbone import RoiBackbone
from mmf_visualbert.tasks.vcr.roi_regions import build_roi_regions
from mmf_visualbert.tasks.vcr.roi_resnet import build_resnet, out_channels


def batch(images: int = 2) -> dict[str, torch.Tensor]:
    """Frames of 96 x 48 pixels with 3 and 2 regions, padded to 4."""
    boxes = torch.tensor([[0.0, 0, 96, 48], [8, 8, 40, 40], [20, 4, 90, 44], [0, 0, 0, 0]]).repeat(images, 1, 1)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])[:images]
    shapes = (torch.rand(images, 4, 14, 14) > 0.5).float()
    return {
        "image": torch.randn(images, 3, 48, 96),
        "region_pixel_boxes": boxes * mask[..., None],
        "region_masks": shapes * mask[..., None, None],
        "region_classes": torch.tensor([[0, 1, 5, 0], [0, 80, 0, 0]])[:images],
        "region_mask": mask,
    }


def small(**settings):
    return build_roi_regions(backbone="small", width=4, region_dimension=6, **settings)


def vectors(backbone: RoiBackbone, sample: dict[str, torch.Tensor]) -> torch.Tensor:
    return backbone(sample["image"], sample["region_pixel_boxes"], sample["region_masks"], sample["region_mask"])


def test_resnet50_has_r2cs_strides():
    resnet = build_resnet("resnet50")
    strides = {
        stage: [
            getattr(resnet, stage)[0].conv1.stride[0],
            getattr(resnet, stage)[0].conv2.stride[0],
            getattr(resnet, stage)[0].downsample[0].stride[0],
        ]
        for stage in ("layer2", "layer3", "layer4")
    }
    assert strides == {"layer2": [2, 1, 2], "layer3": [2, 1, 2], "layer4": [1, 1, 1]}
    assert (out_channels(resnet.layer3), out_channels(resnet.layer4)) == (1024, 2048)
    assert not hasattr(resnet, "fc")


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 512), ("small", 32)])
def test_other_backbones(name, channels):
    backbone = RoiBackbone(build_resnet(name, width=4)).eval()
    assert backbone.dimension == channels
    with torch.no_grad():
        assert backbone.image_maps(torch.zeros(1, 3, 48, 96)).shape[-2:] == (3, 6)
        assert vectors(backbone, batch()).shape == (5, channels)


def test_vectors_are_those_of_the_parts_one_after_the_other():
    backbone = RoiBackbone(build_resnet("small", width=4)).eval()
    nn.init.normal_(backbone.mask_convolution.weight)
    sample = batch()
    from torchvision.extension import _has_ops
    from torchvision.ops import roi_align
    from torchvision.ops.roi_align import _roi_align

    with torch.no_grad():
        found = vectors(backbone, sample)
        resnet, rows = backbone.resnet, []
        for image, boxes, shapes, mask in zip(
            *(sample[name] for name in ("image", "region_pixel_boxes", "region_masks", "region_mask")), strict=True
        ):
            maps = resnet.maxpool(torch.relu(resnet.bn1(resnet.conv1(image[None]))))
            maps = resnet.layer3(resnet.layer2(resnet.layer1(maps)))
            for box, shape in zip(boxes[mask], shapes[mask], strict=True):
                roi = torch.cat((torch.zeros(1), box))[None]
                pooled = (
                    roi_align(maps, roi, (7, 7), 1 / 16, 0)
                    if _has_ops()
                    else inspect.unwrap(_roi_align)(maps, roi, 1 / 16, 7, 7, 0, False)
                )
                extra = backbone.mask_convolution(shape[None, None] - 0.5)
                pooled[:, : extra.shape[1]] += extra
                rows.append(resnet.layer4(pooled).mean(dim=(2, 3))[0])
    torch.testing.assert_close(found, torch.stack(rows), atol=1e-5, rtol=1e-4)


def test_each_image_goes_through_the_resnet_once():
    encoder, seen = small(), []
    encoder.backbone.resnet.conv1.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    encoder.backbone.resnet.layer4.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    encoder({**batch(), "input_ids": torch.zeros(2, 4, 9, dtype=torch.int64)})
    assert seen == [2, 5]  # two images, five real regions; the four texts an image change nothing


def test_features_stand_where_the_mask_says():
    encoder = small(classify_objects=True).eval()
    sample = batch()
    output = encoder(sample)
    assert output.features.shape == (2, 4, 6) and output.region_class_logits.shape == (5, 81)
    assert output.features[~sample["region_mask"]].abs().sum() == 0
    assert small()(sample).region_class_logits is None
    alone = encoder({name: value[1:] for name, value in sample.items()})
    torch.testing.assert_close(output.features[1], alone.features[0], atol=1e-5, rtol=1e-4)


def test_class_and_mask_matter():
    encoder, sample = small().eval(), batch()
    nn.init.normal_(encoder.backbone.mask_convolution.weight)
    before = encoder(sample).features
    other_class = encoder(
        {
            **sample,
            "region_classes": sample["region_classes"]
            + sample["region_mask"] * 0
            + torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0]]),
        }
    ).features
    assert (before != other_class).any(dim=2).nonzero().tolist() == [[0, 1]]
    shapes = sample["region_masks"].clone()
    shapes[0, 2] = 1 - shapes[0, 2]
    other_mask = encoder({**sample, "region_masks": shapes}).features
    assert (before - other_mask).abs().amax(dim=2).gt(1e-6).nonzero().tolist() == [[0, 2]]


def test_masks_of_a_new_backbone_add_nothing_and_are_learnt():
    encoder, sample = small(), batch()
    zeroed = {**sample, "region_masks": torch.zeros_like(sample["region_masks"])}
    encoder.eval()
    assert torch.equal(encoder(sample).features, encoder(zeroed).features)
    encoder.train()(sample).features.square().sum().backward()
    assert encoder.backbone.mask_convolution.weight.grad.abs().sum() > 0


def parts_of(backbone: RoiBackbone) -> dict[str, list[nn.Module]]:
    resnet = backbone.resnet
    below = [resnet.conv1, resnet.bn1, resnet.layer1, resnet.layer2, resnet.layer3]
    everything = [*below, resnet.layer4, backbone.mask_convolution]
    return {"none": [], "below_rois": below, "resnet": everything[:-1], "all": everything}


@pytest.mark.parametrize("frozen", ["none", "below_rois", "resnet", "all"])
def test_fixed_parts_get_no_gradient_and_do_not_move(frozen):
    encoder = small(frozen=frozen, classify_objects=True).train()
    fixed = {id(p) for part in parts_of(encoder.backbone)[frozen] for p in part.parameters()}
    before = copy.deepcopy(encoder.state_dict())
    # Over all parameters, as a careless caller might, with weight decay.
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.1, weight_decay=0.1)
    output = encoder(batch())
    (output.features.square().sum() + output.region_class_logits.square().sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (id(parameter) not in fixed), name
        assert (parameter.grad is None) == (id(parameter) in fixed), name
    optimizer.step()
    for name, parameter in encoder.named_parameters():
        if id(parameter) in fixed:
            assert torch.equal(parameter, before[name]), name
    assert not torch.equal(encoder.projection.weight, before["projection.weight"])


@pytest.mark.parametrize("frozen", ["none", "below_rois", "resnet", "all"])
def test_fixed_batch_norms_neither_use_nor_take_in_statistics(frozen):
    encoder = small(frozen=frozen).train()
    parts = parts_of(encoder.backbone)
    fixed = {id(m) for part in parts[frozen] for m in part.modules()}
    norms = {name: m for name, m in encoder.named_modules() if isinstance(m, nn.BatchNorm2d)}
    before = {name: norm.running_mean.clone() for name, norm in norms.items()}
    encoder(batch())
    for name, norm in norms.items():
        assert norm.training == (id(norm) not in fixed), name
        assert torch.equal(norm.running_mean, before[name]) == (id(norm) in fixed), name
        assert (norm.num_batches_tracked == 0) == (id(norm) in fixed), name


def test_a_fixed_backbone_gives_the_same_in_training_and_evaluation():
    backbone, sample = small(frozen="all").backbone, batch()
    trained, evaluated = vectors(backbone.train(), sample), vectors(backbone.eval(), sample)
    assert torch.equal(trained, evaluated)
    assert not trained.requires_grad


def test_running_statistics_of_a_trained_backbone():
    encoder = small(batch_norm="running").train()
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    encoder(batch()).features.sum().backward()
    assert all(norm.running_mean.abs().sum() == 0 for norm in norms)
    assert all(norm.weight.grad is not None for norm in norms)


def test_precomputed_vectors_give_the_same_features():
    encoder, sample = small(frozen="all").eval(), batch()
    pooled = torch.zeros(2, 4, encoder.pooled_dimension)
    pooled[sample["region_mask"]] = vectors(encoder.backbone, sample)
    stored = {name: sample[name] for name in ("region_classes", "region_mask")} | {"region_features": pooled}
    assert torch.equal(encoder(stored).features, encoder(sample).features)
    bare = build_roi_regions(backbone=None, pooled_dimension=32, region_dimension=6).eval()
    bare.load_state_dict({k: v for k, v in encoder.state_dict().items() if not k.startswith("backbone.")})
    assert torch.equal(bare(stored).features, encoder(sample).features)
    with pytest.raises(InputError, match="backbone: null"):
        bare(sample)
    with pytest.raises(InputError, match="frozen: all"):
        small()(stored)
    with pytest.raises(InputError, match="dimension 5"):
        encoder({**stored, "region_features": pooled[..., :5]})


def test_standardized_vectors_by_hand():
    """(v - mean) / deviation over the batch's regions in training, over what was seen before in evaluation."""
    encoder, sample = small(standardize=True, dropout=0.0), batch()
    pooled = encoder.pooled(sample, sample["region_mask"]).detach()
    expected = (pooled - pooled.mean(0)) / torch.sqrt(pooled.var(0, unbiased=False) + 1e-5)
    classes = encoder.class_embeddings(sample["region_classes"][sample["region_mask"]])
    wanted = torch.relu(encoder.projection(torch.cat((expected, classes), dim=-1)))
    found = encoder(sample).features[sample["region_mask"]]
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)
    assert not list(encoder.standardize.parameters())
    alone = {name: value[:1] for name, value in sample.items()}
    torch.testing.assert_close(encoder.eval()(alone).features[0], encoder(sample).features[0], atol=1e-5, rtol=1e-4)


def test_torchvision_weights_from_a_file(tmp_path):
    import torchvision

    theirs = torchvision.models.resnet18(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    encoder = build_roi_regions(backbone="resnet18", weights=str(tmp_path / "resnet18.pth"), region_dimension=6)
    assert torch.equal(encoder.backbone.resnet.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)
    with pytest.raises(InputError, match="configuration names"):
        small(weights=str(tmp_path / "resnet18.pth"))


def test_weights_of_a_whole_model(tmp_path):
    encoder = small()
    nn.init.normal_(encoder.backbone.mask_convolution.weight)
    state = {f"region_encoder.{name}": value for name, value in encoder.state_dict().items()}
    torch.save({**state, "visual_bert.pooler.dense.weight": torch.zeros(2, 2)}, tmp_path / "final.pth")
    again = small(weights=str(tmp_path / "final.pth"))
    for name, value in encoder.backbone.state_dict().items():
        assert torch.equal(again.backbone.state_dict()[name], value), name
    assert not torch.equal(again.projection.weight, encoder.projection.weight)


def test_files_that_are_no_weights(tmp_path):
    with pytest.raises(InputError, match="missing"):
        small(weights=str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(InputError, match="cannot be read as weights"):
        small(weights=str(tmp_path / "text.pth"))
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="no state dict"):
        small(weights=str(tmp_path / "other.pth"))
    with pytest.raises(InputError, match="no backbone 'vgg'"):
        build_roi_regions(backbone="vgg")
    with pytest.raises(InputError, match="no ImageNet weights"):
        small(weights="imagenet")


def test_frozen_takes_yes_and_no():
    assert small(frozen=True).backbone.frozen == "all"
    assert small(frozen=False).backbone.frozen == "none"
    with pytest.raises(InputError, match="frozen is 'half'"):
        small(frozen="half")
    with pytest.raises(InputError, match="batch_norm is 'odd'"):
        small(batch_norm="odd")
