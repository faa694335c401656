"""Vectors made once give what the images give: the same loss, the same gradients of what is trained."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
import vcr_world
from torch import nn
from torch.utils.data import default_collate

from mmf_visualbert.contracts import RegionQuery
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.losses.cross_entropy import CrossEntropy
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.build import build_visual_bert
from mmf_visualbert.modules.heads.pooled import ChoiceHead
from mmf_visualbert.tasks.vcr.dataset import build_vcr
from mmf_visualbert.tasks.vcr.regions import DetectedRegions, StoredDetections
from mmf_visualbert.tasks.vcr.roi_regions import build_roi_regions

ROOT = Path(__file__).parents[3]
SIZE = ["--backbone", "small", "--width", "4", "--size", "96", "48"]


def tool():
    spec = importlib.util.spec_from_file_location("vcr_features", ROOT / "tools" / "vcr_features.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(tmp_path):
    return vcr_world.write_world(tmp_path)


@pytest.fixture
def encoder(world):
    """A region encoder with a fixed backbone, with a mask convolution and BatchNorm statistics that are not new."""
    built = build_roi_regions(backbone="small", width=4, region_dimension=12, frozen="all")
    nn.init.normal_(built.backbone.mask_convolution.weight)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    torch.save({f"region_encoder.{k}": v for k, v in built.state_dict().items()}, world / "model_final.pth")
    return built


def make_features(world, *source) -> str:
    out = str(world / "features.lmdb")
    given = [*map(str, source), "--out", out, "--weights", str(world / "model_final.pth"), *SIZE, "--workers", "0"]
    assert tool().main([*given, "--batch-size", "2"]) == 0
    return out


def dataset(world, split, mode="answer", **changes):
    config = vcr_world.config(world, mode=mode, random_offset=False, **changes)
    return build_vcr(config, split, {"text_processor": vcr_world.assembler()})


def loss_of(sample, encoder, visual_bert, head):
    torch.manual_seed(1)  # the same dropout on both paths
    text, regions = visual_bert_inputs(sample, encoder(sample).features)
    scores = head(visual_bert(text, regions), sample).scores
    return CrossEntropy()(sample, {"scores": scores})


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("mode", ["answer", "rationale"])
def test_online_and_precomputed_give_the_same_loss(world, encoder, mode, training):
    images = world / "vcr/vcr1images"
    store = make_features(world, "--annotations", world / "vcr/train.jsonl", "--images", images)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    vocab = vcr_world.tokenizer().vocab_size
    visual_bert = build_visual_bert(region_dimension=12, random_init=True, vocab_size=vocab, **size)
    head = ChoiceHead(hidden_size=visual_bert.hidden_size)
    for module in (encoder, visual_bert, head):
        module.train(training)
    losses, gradients = [], []
    for features in (None, {"train": [store]}):
        samples = dataset(world, "train", mode, features=features)
        batch = default_collate([samples[index] for index in range(3)])
        assert ("image" in batch) == (features is None)
        loss = loss_of(batch, encoder, visual_bert, head)
        losses.append(loss.detach())
        trained = [p for p in (*encoder.parameters(), *visual_bert.parameters()) if p.requires_grad]
        gradients.append(torch.autograd.grad(loss, trained, allow_unused=True))
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=0)
    for online, precomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(online, precomputed, atol=1e-5, rtol=1e-4)


def test_store_says_what_it_holds(world, encoder):
    path = make_features(world, "--annotations", world / "vcr/train.jsonl", "--images", world / "vcr/vcr1images")
    store = FeatureStore(path)
    assert sorted(store.keys()) == ["m/a", "m/b"]
    record = store.read("m/a")
    assert record.features.shape == (5, 32) and record.features.dtype == "float32"
    assert record.boxes.tolist() == [[0, 0, 100, 40], [5, 4, 45, 38], [50, 2, 95, 39], [60, 20, 70, 30], [0, 0, 20, 10]]
    assert record.class_ids.tolist() == [-1, 0, 0, 67, 2]
    assert (store.info.dimension, store.info.regions, store.info.dtype) == (32, 5, "float32")
    assert len(store.info.weights_hash) == 16


def test_records_that_are_not_the_stores(world, encoder):
    path = make_features(world, "--annotations", world / "vcr/train.jsonl", "--images", world / "vcr/vcr1images")
    other = vcr_world.record(metadata_fn="m/c.json")
    vcr_world.write_lines(world / "vcr/val.jsonl", [other])
    with pytest.raises(InputError, match=r"val.jsonl:1 \(train-0\).*no features of 'm/c'"):
        dataset(world, "val", features={"val": [path]})
    other = vcr_world.record(objects=["person", "person", "dog", "car"])
    vcr_world.write_lines(world / "vcr/val.jsonl", [other])
    with pytest.raises(InputError, match=r"val.jsonl:1 \(train-0\).*are not the record's"):
        dataset(world, "val", features={"val": [path]})[0]


def test_detections_for_captions(world, encoder):
    detections = {"m/a.png": vcr_world.metadata("a"), "m/b.png": None}
    (world / "detections.json").write_text(json.dumps(detections))
    images = world / "vcr/vcr1images"
    path = make_features(world, "--detections", world / "detections.json", "--images", images)
    online = DetectedRegions([world / "detections.json"], [images], canvas=(96, 48))
    stored = StoredDetections(FeatureStore(path), online.max_regions)
    encoder.eval()
    for key in ("m/a", "m/b"):
        samples = [
            {name: value[None] for name, value in source.tensors(RegionQuery(key, key)).items()}
            for source in (online, stored)
        ]
        first, second = (encoder(sample).features for sample in samples)
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)
    stored.check([RegionQuery("m/a", "caption 1")])
    with pytest.raises(InputError, match=r"caption 2: .* no features of 'm/c'"):
        stored.check([RegionQuery("m/c", "caption 2")])
    with pytest.raises(InputError, match="5 regions for max_regions 2"):
        StoredDetections(FeatureStore(path), 2).tensors(RegionQuery("m/a", "m/a"))


def test_faults_end_with_exit_code_2(world, encoder, capsys):
    (world / "vcr/vcr1images/m/b.png").unlink()
    given = ["--annotations", str(world / "vcr/train.jsonl"), "--images", str(world / "vcr/vcr1images")]
    assert (
        tool().main([*given, "--out", str(world / "x.lmdb"), "--weights", str(world / "model_final.pth"), *SIZE]) == 2
    )
    assert "train.jsonl:2 (train-1): the frame" in capsys.readouterr().err


def test_short_choices_do_not_pay_for_the_longest(world):
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    visual_bert = build_visual_bert(
        region_dimension=12, random_init=True, vocab_size=vcr_world.tokenizer().vocab_size, attention="packed", **size
    )
    encoder = build_roi_regions(backbone="small", width=4, region_dimension=12)
    samples = dataset(world, "val")
    batch = default_collate([samples[index] for index in range(3)])
    computed = []
    visual_bert.encoder.layer[0].register_forward_hook(
        lambda _, inputs, __: computed.append(inputs[0].shape[:-1].numel())
    )
    visual_bert(*visual_bert_inputs(batch, encoder(batch).features))
    assert computed == [int(batch["text_mask"].sum() + 4 * batch["region_mask"].sum())]
