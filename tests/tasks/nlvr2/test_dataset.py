import json
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import mmf_visualbert
from mmf_visualbert import catalog
from mmf_visualbert.datasets.pairs import join_images
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import SPECIAL_TOKENS, TextAssembler, WordPieceTokenizer
from mmf_visualbert.tasks.nlvr2.dataset import build_nlvr2
from mmf_visualbert.tasks.nlvr2.records import consistency_group, read_nlvr2

YAML = Path(mmf_visualbert.__file__).parent / "configs" / "datasets" / "nlvr2.yaml"
D, R, T = 4, 3, 8
WORDS = "the left image shows a dog and both right".split()
TOKENIZER = WordPieceTokenizer({token: index for index, token in enumerate([*SPECIAL_TOKENS, *WORDS])})


def record(identifier, label="True", sentence="The left image shows a dog"):
    fields = {"identifier": identifier, "sentence": sentence, "label": label, "synset": "dog", "writer": "1"}
    return {name: value for name, value in fields.items() if value is not None}


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write_store(path, regions):
    """`regions`: key -> number of regions; the features of a region are its number from 1 and its image's place."""
    with FeatureStoreWriter(path, StoreInfo("test", D, 9)) as writer:
        for place, (key, count) in enumerate(regions.items()):
            features = np.full((count, D), place, dtype=np.float16)
            features[:, 0] = np.arange(count) + 1
            writer.add(key, RegionRecord(features))


def configured(tmp_path, records, regions, masking=False):
    write_lines(tmp_path / "dev.json", records)
    write_store(tmp_path / "dev.lmdb", regions)
    splits = ("train", "val", "test")
    config = {
        "data_dir": str(tmp_path),
        "annotations": {key: ["dev.json"] for key in splits},
        "features": {key: ["dev.lmdb"] for key in splits},
    }
    processors = {
        "text_processor": TextAssembler(TOKENIZER, T),
        "region_processor": RegionFeatures(R, D),
    }
    if masking:
        processors["masking_processor"] = MaskedLanguageModeling(TOKENIZER)
    return config, processors


PAIR = [record("dev-850-0-0"), record("dev-850-2-0", "False"), record("dev-850-2-1", "False", "Both a dog")]
REGIONS = {"dev-850-0-img0": 2, "dev-850-0-img1": 1, "dev-850-2-img0": 3, "dev-850-2-img1": 5}


def test_the_real_dev_file_loads_whole(shared):
    path = shared / "realdata" / "nlvr2" / "dev.json"
    examples = read_nlvr2([path])
    assert len(examples) == 6982
    assert len({example.group for example in examples}) == 2018
    assert Counter(example.label for example in examples) == {1: 3551, 0: 3431}
    first, second = examples[:2]
    assert first.images == ("dev-850-0-img0", "dev-850-0-img1")
    assert second.images == ("dev-850-2-img0", "dev-850-2-img1")
    assert (first.label, second.label) == (0, 1)
    assert first.group == second.group and first.sentence == second.sentence


def test_groups_leave_the_pair_out():
    assert consistency_group("dev-850-2-1") == "dev-850-1"
    assert consistency_group("train-10171-0-1") == consistency_group("train-10171-3-1")


def test_labels_may_be_words_or_booleans(tmp_path):
    labels = ["True", "False", "true", "FALSE", True, False]
    path = write_lines(tmp_path / "dev.json", [record(f"dev-1-{i}-0", label) for i, label in enumerate(labels)])
    assert [example.label for example in read_nlvr2([path])] == [1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (record("dev-2-0-0", label=None), "the example dev-2-0-0 of .* and 0 more have no label; only a test split"),
        (record("dev-2-0-0", label="maybe"), "line 2: the label of dev-2-0-0 is 'maybe'"),
        (record("dev-2-0-0", label=1), r"line 2 \(dev-2-0-0\): label is 1, and true or false or text"),
        (record("dev-1-0-0"), "line 2: the example dev-1-0-0 stands there twice"),
        (record("dev-2-0-0.png", sentence=" "), "line 2: the example dev-2-0-0.png has no sentence"),
        (record("dev-2-0"), "line 2: the identifier is 'dev-2-0'; it has to be split-set-pair-sentence"),
        (record(None), "line 2 has no 'identifier'"),
    ],
)
def test_faults_name_file_and_record(tmp_path, wrong, message):
    path = write_lines(tmp_path / "dev.json", [record("dev-1-0-0"), wrong])
    with pytest.raises(InputError, match=message) as error:
        read_nlvr2([path])
    assert str(path) in str(error.value)


def test_a_test_split_needs_no_labels_but_all_or_none(tmp_path):
    without = [record(f"test1-1-{i}-0", label=None) for i in range(2)]
    path = write_lines(tmp_path / "test1.json", without)
    assert [example.label for example in read_nlvr2([path], labels_required=False)] == [None, None]
    write_lines(path, [*without, record("test1-1-2-0")])
    with pytest.raises(InputError, match=r"test1-1-0-0 of .* and 1 more of 3 have no label; give all labels or none"):
        read_nlvr2([path], labels_required=False)


def test_left_image_first_and_padding_last(tmp_path):
    config, processors = configured(tmp_path, PAIR, REGIONS)
    sample = catalog.get("dataset", "visualbert_nlvr2")(config, "train", processors)[0]
    assert {name: (tuple(value.shape), value.dtype) for name, value in sample.items()} == {
        "id": ((), torch.int64),
        "group": ((), torch.int64),
        "input_ids": ((T,), torch.int64),
        "text_mask": ((T,), torch.bool),
        "text_segments": ((T,), torch.int64),
        "region_features": ((2 * R, D), torch.float16),
        "region_mask": ((2 * R,), torch.bool),
        "region_segments": ((2 * R,), torch.int64),
        "targets": ((), torch.int64),
    }
    assert sample["region_mask"].tolist() == [True] * 3 + [False] * 3
    assert sample["region_segments"].tolist() == [0, 0, 1, 0, 0, 0]
    # (region, image): two regions of image 0, one of image 1, then zeros.
    assert sample["region_features"][:, :2].tolist() == [[1, 0], [2, 0], [1, 1], [0, 0], [0, 0], [0, 0]]
    assert sample["targets"] == 1 and sample["group"] == 0
    assert sample["text_segments"].sum() == 0 and sample["text_mask"].sum() == 8


def test_regions_beyond_max_regions_are_left_out_of_each_image(tmp_path):
    config, processors = configured(tmp_path, PAIR, REGIONS)
    sample = build_nlvr2(config, "train", processors)[1]
    assert sample["region_mask"].all()
    assert sample["region_features"][:, :2].tolist() == [[1, 2], [2, 2], [3, 2], [1, 3], [2, 3], [3, 3]]
    assert sample["region_segments"].tolist() == [0, 0, 0, 1, 1, 1]


def test_joining_agrees_with_a_loop_over_regions():
    def tensors(count):
        mask = torch.arange(R) < count
        features = torch.rand(R, D) * mask[:, None]
        return {"region_features": features, "region_mask": mask, "region_segments": torch.zeros(R).long()}

    for left_count in range(1, R + 1):
        for right_count in range(1, R + 1):
            left, right = tensors(left_count), tensors(right_count)
            rows = [(left["region_features"][i], True, 0) for i in range(left_count)]
            rows += [(right["region_features"][i], True, 1) for i in range(right_count)]
            rows += [(torch.zeros(D), False, 0)] * (2 * R - len(rows))
            joined = join_images(left, right)
            assert torch.equal(joined["region_features"], torch.stack([row[0] for row in rows]))
            assert joined["region_mask"].tolist() == [row[1] for row in rows]
            assert joined["region_segments"].tolist() == [row[2] for row in rows]


def test_masked_language_modeling_beside_the_label(tmp_path):
    config, processors = configured(tmp_path, PAIR, REGIONS, masking=True)
    dataset = build_nlvr2(config, "train", processors)
    sample = dataset[1]
    labels = sample["masked_lm_labels"]
    assert (labels >= 0).any() and sample["targets"] == 0
    original = torch.where(labels >= 0, labels, sample["input_ids"])
    assert torch.equal(original, TextAssembler(TOKENIZER, T).single(PAIR[1]["sentence"]).input_ids)
    assert any(not torch.equal(dataset[1]["input_ids"], sample["input_ids"]) for _ in range(20))
    validation = build_nlvr2(config, "val", processors)
    assert all(torch.equal(validation[1]["input_ids"], validation[1]["input_ids"]) for _ in range(20))


def test_labels_missing_in_training_and_in_test(tmp_path):
    records = [record(f"dev-850-{i}-0", label=None) for i in (0, 2)]
    config, processors = configured(tmp_path, records, REGIONS)
    for split in ("train", "val"):
        with pytest.raises(InputError, match="have no label"):
            build_nlvr2(config, split, processors)
    assert "targets" not in build_nlvr2(config, "test", processors)[0]


def test_a_missing_image_names_the_example(tmp_path):
    config, processors = configured(tmp_path, PAIR, {key: REGIONS[key] for key in list(REGIONS)[:3]})
    with pytest.raises(
        InputError, match=r"the example dev-850-2-0 of .*dev\.json has no .*'dev-850-2-img1' and 0 more"
    ):
        build_nlvr2(config, "val", processors)


def test_cut_sentences_are_reported(tmp_path, caplog):
    long = record("dev-850-0-0", sentence="the left image shows a dog and a dog")
    config, processors = configured(tmp_path, [*PAIR[1:], long], REGIONS)
    with caplog.at_level(logging.WARNING):
        build_nlvr2(config, "val", processors)
    assert "1 of 3 sentences are longer than max_seq_length 8 and lose their end, first dev-850-0-0" in caplog.text


def test_predictions_are_leaderboard_entries(tmp_path):
    config, processors = configured(tmp_path, PAIR, REGIONS)
    dataset = build_nlvr2(config, "test", processors)
    output = {"id": torch.tensor([2, 0]), "scores": torch.tensor([[0.1, 0.9], [2.0, -1.0]])}
    assert dataset.predictions(output) == [
        {"identifier": "dev-850-2-1", "prediction": "True"},
        {"identifier": "dev-850-0-0", "prediction": "False"},
    ]


def test_one_key_sets_the_number_of_regions():
    base = OmegaConf.create(
        {
            "env": {"data_dir": "data"},
            "model_config": {"visualbert": {"tokenizer": "bert", "region_dimension": 1024}},
        }
    )
    config = OmegaConf.merge(base, OmegaConf.load(YAML), {"dataset_config": {"visualbert_nlvr2": {"max_regions": 36}}})
    plain = OmegaConf.to_container(config.dataset_config.visualbert_nlvr2, resolve=True)
    assert plain["processors"]["region_processor"]["params"] == {"max_regions": 36, "dimension": 1024}
    assert OmegaConf.load(YAML).dataset_config.visualbert_nlvr2.max_regions == 144
