"""Weights of detectors: maskrcnn-benchmark's names in detectron2's, and files that are not weights."""

import os
import pickle
import re

import numpy as np
import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction.weights import file_hash, from_maskrcnn_benchmark, read_weights

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def maskrcnn_benchmark_shapes(
    depth: int = 152, groups: int = 32, width: int = 8, fpn: int = 512, hidden: int = 2048, classes: int = 1601
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of vqa-maskrcnn-benchmark's ResNeXt FPN detector with attributes, as its modules make them."""
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name, size):
        shapes.update({f"{name}.{part}": (size,) for part in ("weight", "bias", "running_mean", "running_var")})

    def layer(name, *shape):
        shapes.update({f"{name}.weight": shape, f"{name}.bias": shape[:1]})

    shapes["backbone.body.stem.conv1.weight"] = (64, 3, 7, 7)
    norm("backbone.body.stem.bn1", 64)
    before = 64
    for stage, count in enumerate(BLOCKS[depth], 1):
        inner, after = groups * width * 2 ** (stage - 1), 256 * 2 ** (stage - 1)
        for block in range(count):
            name = f"backbone.body.layer{stage}.{block}"
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (after, before, 1, 1)
                norm(f"{name}.downsample.1", after)
            for number, shape in enumerate(
                ((inner, before, 1, 1), (inner, inner // groups, 3, 3), (after, inner, 1, 1)), 1
            ):
                shapes[f"{name}.conv{number}.weight"] = shape
                norm(f"{name}.bn{number}", shape[0])
            before = after
        layer(f"backbone.fpn.fpn_inner{stage}", fpn, after, 1, 1)
        layer(f"backbone.fpn.fpn_layer{stage}", fpn, fpn, 3, 3)
    for level in range(5):
        shapes[f"rpn.anchor_generator.cell_anchors.{level}"] = (3, 4)
    layer("rpn.head.conv", fpn, fpn, 3, 3)
    layer("rpn.head.cls_logits", 3, fpn, 1, 1)
    layer("rpn.head.bbox_pred", 12, fpn, 1, 1)
    layer("roi_heads.box.feature_extractor.fc6", hidden, fpn * 49)
    layer("roi_heads.box.feature_extractor.fc7", hidden, hidden)
    layer("roi_heads.box.predictor.cls_score", classes, hidden)
    layer("roi_heads.box.predictor.bbox_pred", classes * 4, hidden)
    shapes["roi_heads.box.predictor.cls_embed.weight"] = (classes, 256)
    layer("roi_heads.box.predictor.attr_linear1", 512, hidden + 256)
    layer("roi_heads.box.predictor.attr_linear2", 400, 512)
    return shapes


def unfilled(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Tensors of these shapes that take no memory, so that the real sizes can be used."""
    return {name: torch.ones(1).expand(shape) for name, shape in shapes.items()}


def test_pythias_file_converts_whole(tmp_path):
    shapes = maskrcnn_benchmark_shapes()
    torch.save({"model": {f"module.{name}": value for name, value in unfilled(shapes).items()}}, tmp_path / "x152.pth")
    converted = from_maskrcnn_benchmark(read_weights(str(tmp_path / "x152.pth")), "x152.pth")
    assert converted.overrides == {
        "MODEL.RESNETS.DEPTH": 152,
        "MODEL.RESNETS.NUM_GROUPS": 32,
        "MODEL.RESNETS.WIDTH_PER_GROUP": 8,
        "MODEL.FPN.OUT_CHANNELS": 512,
        "MODEL.ROI_BOX_HEAD.FC_DIM": 2048,
        "MODEL.ROI_HEADS.NUM_CLASSES": 1600,
        "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": False,
    }
    state = converted.state
    assert len(state) + len(converted.attributes) == len(shapes)
    assert state["backbone.bottom_up.res4.35.conv3.norm.running_var"].shape == (1024,)
    assert state["backbone.bottom_up.res2.0.shortcut.norm.weight"].shape == (256,)
    assert state["backbone.fpn_lateral5.weight"].shape == (512, 2048, 1, 1)
    assert state["roi_heads.box_predictor.bbox_pred.weight"].shape == (6400, 2048)
    assert {name: tuple(value.shape) for name, value in converted.attributes.items()} == {
        "class_embedding.weight": (1601, 256),
        "hidden.weight": (512, 2304),
        "hidden.bias": (512,),
        "output.weight": (400, 512),
        "output.bias": (400,),
    }


@pytest.mark.parametrize("depth,groups,width", [(50, 1, 64), (101, 64, 4)])
def test_other_trunks_are_recognised_by_their_shapes(depth, groups, width):
    state = unfilled(maskrcnn_benchmark_shapes(depth, groups, width, 256, 1024, 81))
    overrides = from_maskrcnn_benchmark(state, "x").overrides
    found = [overrides[f"MODEL.RESNETS.{name}"] for name in ("DEPTH", "NUM_GROUPS", "WIDTH_PER_GROUP")]
    assert found == [depth, groups, width]


def test_background_moves_to_the_end():
    state = dict(unfilled(maskrcnn_benchmark_shapes(50, 1, 64, 8, 6, 4)))
    scores = torch.arange(4.0)[:, None].expand(4, 6)
    state["roi_heads.box.predictor.cls_score.weight"] = scores
    state["roi_heads.box.predictor.cls_score.bias"] = torch.arange(4.0)
    state["roi_heads.box.predictor.cls_embed.weight"] = torch.arange(4.0)[:, None].expand(4, 256)
    state["roi_heads.box.predictor.bbox_pred.bias"] = torch.arange(16.0)
    converted = from_maskrcnn_benchmark(state, "x")
    assert converted.state["roi_heads.box_predictor.cls_score.weight"][:, 0].tolist() == [1, 2, 3, 0]
    assert converted.state["roi_heads.box_predictor.cls_score.bias"].tolist() == [1, 2, 3, 0]
    assert converted.attributes["class_embedding.weight"][:, 0].tolist() == [1, 2, 3, 0]
    assert converted.state["roi_heads.box_predictor.bbox_pred.bias"].tolist() == list(range(4, 16))


def test_frozen_norm_and_anchors_are_adapted():
    """One without epsilon and one with it give the same; a box to its last pixel is one pixel larger by its edges."""
    state = dict(unfilled(maskrcnn_benchmark_shapes(50, 1, 64, 8, 6, 4)))
    state["backbone.body.stem.bn1.running_var"] = torch.full((64,), 0.5)
    state["rpn.anchor_generator.cell_anchors.0"] = torch.tensor([[-22.0, -10, 25, 13]] * 3)
    converted = from_maskrcnn_benchmark(state, "x").state
    assert torch.allclose(converted["backbone.bottom_up.stem.conv1.norm.running_var"] + 1e-5, torch.tensor(0.5))
    assert converted["proposal_generator.anchor_generator.cell_anchors.0"][0].tolist() == [-22, -10, 26, 14]


def test_a_box_for_all_classes_is_recognised():
    state = dict(unfilled(maskrcnn_benchmark_shapes(50, 1, 64, 8, 6, 40)))
    state["roi_heads.box.predictor.bbox_pred.weight"] = torch.ones(8, 6)
    state["roi_heads.box.predictor.bbox_pred.bias"] = torch.arange(8.0)
    converted = from_maskrcnn_benchmark(state, "x")
    assert converted.overrides["MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG"] is True
    assert converted.state["roi_heads.box_predictor.bbox_pred.bias"].tolist() == [4, 5, 6, 7]


def test_masks_are_left_out_and_strangers_are_named():
    state = dict(unfilled(maskrcnn_benchmark_shapes(50, 1, 64, 8, 6, 4)))
    state["roi_heads.mask.predictor.conv5_mask.weight"] = torch.ones(1)
    assert not any("mask" in name for name in from_maskrcnn_benchmark(state, "x").state)
    with pytest.raises(InputError, match=re.escape("f.pth has the weight 'backbone.fpn.top.weight'")):
        from_maskrcnn_benchmark({**state, "backbone.fpn.top.weight": torch.ones(1)}, "f.pth")
    del state["roi_heads.box.feature_extractor.fc6.weight"]
    with pytest.raises(InputError, match="not a whole FPN detector"):
        from_maskrcnn_benchmark(state, "f.pth")


def test_files_of_both_kinds_are_read(tmp_path):
    torch.save({"model": {"a.weight": torch.ones(2)}, "iteration": 5}, tmp_path / "a.pth")
    with open(tmp_path / "a.pkl", "wb") as stream:
        pickle.dump({"model": {"a.weight": np.ones(2, np.float32)}, "__author__": "Caffe2"}, stream)
    for name in ("a.pth", "a.pkl"):
        assert torch.equal(read_weights(str(tmp_path / name))["a.weight"], torch.ones(2))
    assert len(file_hash(str(tmp_path / "a.pth"))) == 16


class Exploit:
    def __reduce__(self):
        return os.system, ("touch /tmp/weights_ran_this",)


def test_files_that_are_no_weights_are_refused(tmp_path):
    torch.save({"model": Exploit()}, tmp_path / "bad.pth")
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(Exploit()))
    (tmp_path / "junk.pth").write_bytes(b"junk")
    torch.save([1], tmp_path / "empty.pth")
    for name in ("bad.pth", "bad.pkl", "junk.pth", "empty.pth", "none.pth", "none.pkl"):
        with pytest.raises(InputError, match=name):
            read_weights(str(tmp_path / name))
    assert not os.path.exists("/tmp/weights_ran_this")
