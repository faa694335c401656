"""Extraction with detectron2 itself: architectures of its model zoo, random weights, real photographs.

KILLS says how often the run of the last test is killed; 2 where it is not set.
"""

import importlib.util
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mmf_visualbert.compat.optional import has_detectron2, require_detectron2
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction import presets
from mmf_visualbert.features.extraction.detector import Built, build_detector
from mmf_visualbert.features.extraction.extract import Preparation, extract
from mmf_visualbert.features.extraction.images import find_images
from mmf_visualbert.features.extraction.presets import DetectorPreset
from mmf_visualbert.features.extraction.selection import Selection
from mmf_visualbert.features.extraction.weights import from_maskrcnn_benchmark, read_weights
from mmf_visualbert.features.maintenance import check
from mmf_visualbert.features.store import FeatureStore, shard_name

if not has_detectron2():
    pytest.skip("detectron2 is not installed", allow_module_level=True)
try:
    require_detectron2()
except InputError as error:
    pytest.skip(str(error), allow_module_level=True)

SMALL = {"MODEL.RPN.POST_NMS_TOPK_TEST": 60, "MODEL.RPN.PRE_NMS_TOPK_TEST": 200}
FPN = DetectorPreset(
    "small_fpn", "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml", "fc6", Selection(12, 5, 0.3), overrides=SMALL
).changed(shortest=96, longest=160)
C4 = DetectorPreset(
    "small_c4",
    "COCO-Detection/faster_rcnn_R_50_C4_3x.yaml",
    "res5",
    Selection(12, 12),
    overrides={**SMALL, "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIPool"},
    caffe_max_pool=True,
    res5_dilation=2,
    attributes={"attributes": 7, "no_attribute": 6},
).changed(shortest=96, longest=160)


@pytest.fixture(scope="module")
def fpn() -> Built:
    return build_detector(FPN, "random:1")


@pytest.fixture(scope="module")
def c4() -> Built:
    return build_detector(C4, "random:1")


def prepared(shared: Path, preset: DetectorPreset, count: int = 2) -> list:
    files = find_images(str(shared / "realdata" / "images"))[:count]
    prepare = Preparation(preset.shortest, preset.longest, preset.resize)
    return [prepare(file) for file in files]


def reference(model: torch.nn.Module, image: torch.Tensor, boxes: torch.Tensor, layer: str) -> torch.Tensor:
    """Features at boxes by detectron2's own modules, called as its own inference calls them."""
    from detectron2.structures import Boxes

    with torch.no_grad():
        batch = model.preprocess_image([{"image": image}])
        maps = model.backbone(batch.tensor)
        heads = model.roi_heads
        if layer == "res5":
            pooled = heads._shared_roi_transform([maps[name] for name in heads.in_features], [Boxes(boxes)])
            return pooled.mean(dim=[2, 3])
        pooled = heads.box_pooler([maps[name] for name in heads.box_in_features], [Boxes(boxes)])
        if layer == "fc7":
            return heads.box_head(pooled)
        return heads.box_head.fc_relu1(heads.box_head.fc1(heads.box_head.flatten(pooled)))


@pytest.mark.parametrize("layer", ["fc6", "fc7", "res5"])
def test_features_are_those_of_detectron2s_box_head_at_the_same_boxes(shared, layer):
    preset = C4 if layer == "res5" else FPN.changed(layer=layer)
    built = build_detector(preset, "random:1")
    images = [one.image for one in prepared(shared, preset)]
    for image in images:
        (regions,) = built.detector([image])
        expected = reference(built.detector.model, image, regions.boxes, layer)
        assert regions.features.shape == expected.shape and len(expected)
        assert (regions.features - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))


def test_proposals_and_scores_are_detectron2s(shared, fpn):
    """With the whole set kept, boxes are the RPN's and classes are those of the model's own predictor."""
    (one,) = prepared(shared, FPN, 1)
    model = fpn.detector.model
    fpn.detector.selection, before = Selection(1000, 1000, 0.0, 1.0), fpn.detector.selection
    try:
        (regions,) = fpn.detector([one.image])
    finally:
        fpn.detector.selection = before
    with torch.no_grad():
        batch = model.preprocess_image([{"image": one.image}])
        maps = model.backbone(batch.tensor)
        (proposals,), _ = model.proposal_generator(batch, maps, None)
        heads = model.roi_heads
        pooled = heads.box_pooler([maps[name] for name in heads.box_in_features], [proposals.proposal_boxes])
        logits, _ = heads.box_predictor(heads.box_head(pooled))
    scores = logits.softmax(-1)[:, :-1]
    order = scores.max(1).values.argsort(descending=True, stable=True)
    assert torch.allclose(regions.boxes, proposals.proposal_boxes.tensor[order])
    assert torch.allclose(regions.scores, scores.max(1).values[order], atol=1e-6)
    assert torch.equal(regions.class_ids, scores.argmax(1)[order])


def test_real_photographs_become_a_good_store(shared, tmp_path, fpn):
    files = find_images(str(shared / "realdata" / "images"))
    report = extract(files, tmp_path / "a.lmdb", FPN, fpn, batch_size=4, workers=1, progress=False)
    assert report.stored == len(files) == 10 and not report.failures
    assert list(check([str(tmp_path / "a.lmdb")])) == []  # finite, and boxes within the images
    store = FeatureStore(tmp_path / "a.lmdb")
    counts = [len(store.read(key).features) for key in store.keys()]
    assert min(counts) >= 5 and max(counts) <= 12
    assert store.info.layer == "fc6" and store.info.weights == "random:1" and store.info.dimension == 1024


def test_a_batch_gives_what_single_images_give(shared, fpn):
    (one,) = prepared(shared, FPN, 1)
    same = [one.image, one.image.flip(2), one.image.flip(1)]
    for alone, together in zip([fpn.detector([image])[0] for image in same], fpn.detector(same), strict=True):
        assert torch.allclose(alone.boxes, together.boxes, atol=1e-2)
        assert torch.allclose(alone.features, together.features, rtol=1e-3, atol=1e-3)


def test_given_boxes_attributes_and_half_precision(shared, c4):
    (one,) = prepared(shared, C4, 1)
    boxes = torch.tensor([[0.0, 0, 40, 40], [10, 10, 90, 60]])
    (regions,) = c4.detector([one.image], [boxes])
    assert torch.equal(regions.boxes, boxes) and regions.features.shape == (2, 2048)
    assert regions.attribute_ids.shape == (2,) and int(regions.attribute_ids.max()) < 6
    half = build_detector(C4, "random:1", precision="bf16")
    (rough,) = half.detector([one.image], [boxes])
    assert rough.features.dtype == torch.float32
    cosine = torch.nn.functional.cosine_similarity(rough.features, regions.features)
    assert 0.99 < float(cosine.min()) and not torch.equal(rough.features, regions.features)


def to_maskrcnn_benchmark(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A detectron2 model's weights under the names, and in the conventions, of maskrcnn-benchmark."""
    renames = [
        ("backbone.bottom_up.stem.conv1.norm.", "backbone.body.stem.bn1."),
        ("backbone.bottom_up.stem.", "backbone.body.stem."),
        ("proposal_generator.rpn_head.conv.", "rpn.head.conv."),
        ("proposal_generator.rpn_head.objectness_logits.", "rpn.head.cls_logits."),
        ("proposal_generator.rpn_head.anchor_deltas.", "rpn.head.bbox_pred."),
        ("roi_heads.box_head.fc1.", "roi_heads.box.feature_extractor.fc6."),
        ("roi_heads.box_head.fc2.", "roi_heads.box.feature_extractor.fc7."),
        ("roi_heads.box_predictor.", "roi_heads.box.predictor."),
    ]
    renames += [(f"backbone.fpn_lateral{n}.", f"backbone.fpn.fpn_inner{n - 1}.") for n in range(2, 6)]
    renames += [(f"backbone.fpn_output{n}.", f"backbone.fpn.fpn_layer{n - 1}.") for n in range(2, 6)]
    renames += [(f"backbone.bottom_up.res{n}.", f"backbone.body.layer{n - 1}.") for n in range(2, 6)]
    inner = [(".shortcut.norm.", ".downsample.1."), (".shortcut.", ".downsample.0.")]
    inner += [(f".conv{n}.norm.", f".bn{n}.") for n in (1, 2, 3)]
    state = {}
    for name, value in model.state_dict().items():
        if name.startswith("pixel_"):
            continue
        for old, new in renames:
            if name.startswith(old):
                name = new + name.removeprefix(old)
                break
        for old, new in inner:
            name = name.replace(old, new)
        if name.endswith("running_var"):
            value = value + 1e-5
        if ".cls_score." in name:
            value = value.roll(1, dims=0)
        if ".predictor.bbox_pred." in name:
            value = torch.cat([value.new_zeros(4, *value.shape[1:]), value])
        state[name] = value
    for level, anchors in enumerate(model.proposal_generator.anchor_generator.cell_anchors):
        state[f"rpn.anchor_generator.cell_anchors.{level}"] = anchors - anchors.new_tensor([0, 0, 1, 1])
    return state


def test_weights_in_maskrcnn_benchmarks_names_give_the_same_features(shared, tmp_path):
    own = {**SMALL, "MODEL.ROI_HEADS.NUM_CLASSES": 9, "MODEL.ROI_BOX_HEAD.FC_DIM": 64, "MODEL.FPN.OUT_CHANNELS": 32}
    plain = FPN.changed(overrides=own)
    model = build_detector(plain, "random:3").detector.model
    torch.save({"model": to_maskrcnn_benchmark(model)}, tmp_path / "w.pth")
    assert len(from_maskrcnn_benchmark(read_weights(str(tmp_path / "w.pth")), "w").overrides) == 7
    built = build_detector(
        FPN.changed(format="maskrcnn_benchmark"), str(tmp_path / "w.pth")
    )  # widths come from the file
    torch.save({"model": model.state_dict()}, tmp_path / "d2.pth")
    same = build_detector(plain, str(tmp_path / "d2.pth"))
    assert built.detector.dimension == 64 and built.weights == "w.pth" and len(built.weights_hash) == 16
    images = [one.image for one in prepared(shared, FPN)]
    for found, again in zip(built.detector(images), same.detector(images), strict=True):
        assert torch.allclose(found.boxes, again.boxes, atol=1e-3)
        assert torch.allclose(found.features, again.features, rtol=1e-4, atol=1e-4)


def test_inclusive_boxes_pool_one_pixel_less(shared):
    (one,) = prepared(shared, FPN, 1)
    edges = build_detector(FPN, "random:1").detector
    pixels = build_detector(FPN.changed(inclusive_boxes=True), "random:1").detector
    batch = edges.model.preprocess_image([{"image": one.image}])
    with torch.no_grad():
        maps = edges.model.backbone(batch.tensor)
        outer, inner = edges.propose(batch, maps)[0], pixels.propose(batch, maps)[0]
    assert torch.equal(outer - torch.tensor([0.0, 0, 1, 1]), inner)


def test_weights_that_do_not_belong_to_the_config_are_refused(tmp_path, fpn):
    state = dict(fpn.detector.model.state_dict())
    torch.save({"model": {**state, "roi_heads.box_head.fc1.weight": torch.ones(3, 3)}}, tmp_path / "shape.pth")
    del state["roi_heads.box_head.fc1.weight"]
    torch.save({"model": state}, tmp_path / "lacks.pth")
    with pytest.raises(InputError, match=r"shape\.pth has 'roi_heads\.box_head\.fc1\.weight' of shape \(3, 3\)"):
        build_detector(FPN, str(tmp_path / "shape.pth"))
    with pytest.raises(InputError, match=r"lacks\.pth lacks 1 weights"):
        build_detector(FPN, str(tmp_path / "lacks.pth"))


@pytest.mark.parametrize(
    "changes,words",
    [
        (dict(layer="res5"), "no layer 'res5'"),
        (dict(layer="fc9"), "no layer 'fc9'"),
        (dict(dimension=2048), "dimension 1024 from fc6 and its preset says 2048"),
        (dict(config="COCO-Detection/none.yaml"), "does not take the config"),
        (dict(overrides={"MODEL.NO_SUCH_KEY": 1}), "does not take the config"),
        (dict(config="COCO-Detection/retinanet_R_50_FPN_3x.yaml"), "no single box head"),
        (dict(config="Misc/cascade_mask_rcnn_R_50_FPN_3x.yaml"), "no single box head"),
    ],
)
def test_configs_that_cannot_serve_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        build_detector(FPN.changed(**changes), "random:1")


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_builds_and_gives_its_dimension(name):
    preset = presets.load(name)
    detector = build_detector(preset, "random:1").detector
    image = torch.rand(3, 96, 128) * 255
    given = [torch.tensor([[0.0, 0, 50, 60], [10, 10, 90, 90]])] if preset.given_boxes else None
    (regions,) = detector([image], given)
    assert regions.features.shape[1] == preset.dimension
    assert torch.isfinite(regions.features).all()
    assert (regions.attribute_ids is not None) == bool(preset.attributes)


def tool(images: Path, out: Path, *more: str) -> list[str]:
    own = ["--shortest", "96", "--longest", "160", "--most", "12", "--workers", "1", "--batch-size", "2", "--quiet"]
    sets = ["--set", *(f"{key}={value}" for key, value in SMALL.items())]
    return [
        "--config",
        FPN.config,
        "--layer",
        "fc6",
        "--weights",
        "random:1",
        "--images",
        str(images),
        "--out",
        str(out),
        *own,
        *sets,
        *more,
    ]


def test_the_command_line_in_shards(shared, tmp_path, capsys):
    path = Path(__file__).parents[3] / "tools" / "extract_features.py"
    spec = importlib.util.spec_from_file_location("extract_features_tool", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    images = shared / "realdata" / "images"
    for index in range(2):
        assert module.main(tool(images, tmp_path / "shards", "--shard", f"{index}/2")) == 0
    assert (tmp_path / "shards" / shard_name(1, 2)).is_file()
    assert len(FeatureStore(tmp_path / "shards")) == 10
    assert "5 of 5 images" in capsys.readouterr().out
    assert module.main(tool(tmp_path / "none", tmp_path / "a.lmdb")) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_killed_at_random_moments_the_store_is_the_same_record_by_record(shared, tmp_path):
    kills = int(os.environ.get("KILLS", 2))
    images = tmp_path / "images"
    images.mkdir()
    for copy in range(max(3, 2 * kills)):
        for file in find_images(str(shared / "realdata" / "images")):
            shutil.copy(file.path, images / f"{Path(file.path).stem}_{copy}x.jpg")
    here = Path(__file__).parents[3]
    environment = dict(os.environ, PYTHONPATH=str(here), OMP_NUM_THREADS="1")

    def start(out: Path) -> subprocess.Popen:
        arguments = tool(images, out, "--commit-seconds", "0.2")
        command = [sys.executable, str(here / "tools" / "extract_features.py"), *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    whole, out = tmp_path / "whole.lmdb", tmp_path / "killed.lmdb"
    assert start(whole).wait() == 0
    chance, done = random.Random(1), 0
    while done < kills:
        process = start(out)
        if done % 3:  # two in three are killed while they extract, one in three at any moment, also while starting
            while not Path(f"{out}.partial").exists() and process.poll() is None:
                time.sleep(0.01)
        time.sleep(chance.uniform(0, 8))
        assert process.poll() is None, "it ended before it was killed: more images are needed"
        process.kill()
        process.wait()
        done += 1
    assert start(out).wait() == 0
    first, second = FeatureStore(whole), FeatureStore(out)
    assert list(first.keys()) == list(second.keys()) and len(first) == len(list(images.iterdir()))
    for key in first.keys():
        for left, right in zip(first.read(key), second.read(key), strict=True):
            assert np.array_equal(left, right) if left is not None else right is None
