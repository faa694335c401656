import logging
import pickle
import re

import numpy as np
import pytest
import torch
from caption_files import coco, karpathy, write_json
from torch.utils.data import DataLoader

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import SPECIAL_TOKENS, TextAssembler, WordPieceTokenizer
from mmf_visualbert.tasks.captions.dataset import CaptionPairs, Captions, build_captions
from mmf_visualbert.tasks.captions.records import CaptionedImage

D, R, T = 4, 3, 16
# Word "w<i>x<j>" of caption j of image i, so that a sample says which captions it is made of.
IMAGES, CAPTIONS = 6, 5
VOCABULARY = [*SPECIAL_TOKENS, *(f"w{i}x{j}" for i in range(IMAGES) for j in range(CAPTIONS))]
TOKENIZER = WordPieceTokenizer({token: index for index, token in enumerate(VOCABULARY)})
TEXT = TextAssembler(TOKENIZER, T)


def image(index, count=CAPTIONS):
    return CaptionedImage(index, f"im{index}", tuple(f"w{index}x{j}" for j in range(count)), "FILE")


def write_store(path, keys, dimension=D):
    with FeatureStoreWriter(path, StoreInfo("test", dimension, R)) as writer:
        for number, key in enumerate(keys):
            writer.add(key, RegionRecord(np.full((2, dimension), number + 1, dtype=np.float16)))


def drawn(sample):
    """(image, caption) of the one or two captions in a sample."""
    words = [VOCABULARY[piece] for piece in sample["input_ids"].tolist() if piece >= len(SPECIAL_TOKENS)]
    return [tuple(int(number) for number in word[1:].split("x")) for word in words]


# Pairs


def test_half_of_the_pairs_are_random_and_never_of_the_same_image():
    images = [image(i) for i in range(IMAGES)]
    dataset = Captions(images, TEXT, pairs=CaptionPairs(images))
    assert len(dataset) == IMAGES * CAPTIONS
    seconds = {0: [], 1: []}
    for index in list(range(len(dataset))) * 40:
        sample = dataset[index]
        anchor, second = drawn(sample)
        assert anchor == divmod(index, CAPTIONS)
        label = sample["sentence_image_labels"].item()
        assert (second[0] == anchor[0]) == (label == 1)
        assert second != anchor
        seconds[label].append(((second[0] - anchor[0]) % IMAGES, second[1]))
    total = len(dataset) * 40
    assert abs(len(seconds[0]) / total - 0.5) < 0.05
    # Every caption of every other image comes about as often as any other; so does every other caption of the image.
    counts = np.unique([i * CAPTIONS + j for i, j in seconds[0]], return_counts=True)[1]
    assert len(counts) == (IMAGES - 1) * CAPTIONS
    assert counts.min() > 0.5 * counts.mean() and counts.max() < 1.6 * counts.mean()
    assert {j for _, j in seconds[1]} == set(range(CAPTIONS))


def test_other_images_are_weighed_by_their_captions():
    images = [image(0, 1), image(1, 5), image(2, 2)]
    pairs = CaptionPairs(images)
    places = (torch.arange(70) + 0.5) / 70
    drawn_from = {i: [pairs._other_image(i, place) for place in places.tolist()] for i in range(3)}
    assert sorted(set(drawn_from[0])) == ["w1x0", "w1x1", "w1x2", "w1x3", "w1x4", "w2x0", "w2x1"]
    assert all(drawn_from[0].count(caption) == 10 for caption in set(drawn_from[0]))
    assert set(drawn_from[1]) == {"w0x0", "w2x0", "w2x1"}
    assert set(drawn_from[2]) == {"w0x0", "w1x0", "w1x1", "w1x2", "w1x3", "w1x4"}


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_share_of_random_pairs_is_a_key(probability):
    images = [image(i) for i in range(IMAGES)]
    dataset = Captions(images, TEXT, pairs=CaptionPairs(images, probability))
    assert {dataset[i]["sentence_image_labels"].item() for i in range(len(dataset))} == {int(probability == 0)}


def test_lone_captions():
    images = [image(0, 1), image(1, 1), image(2, 1)]
    seen = {
        option: {
            (len(drawn(sample)), drawn(sample)[0][0] == 1, sample["sentence_image_labels"].item())
            for sample in (
                Captions(images, TEXT, pairs=CaptionPairs(images, lone_caption=option))[1] for _ in range(60)
            )
        }
        for option in ("alone", "random", "swapped")
    }
    # (captions in the text, the first one is of the image, label)
    assert seen["alone"] == {(1, True, 1)}
    assert seen["random"] == {(2, True, 0)}
    assert seen["swapped"] == {(1, True, 1), (1, False, 0)}


def test_labels_that_are_all_the_same_are_warned_of(caplog):
    CaptionPairs([image(0, 1), image(1, 2)])
    CaptionPairs([image(0, 1), image(1, 1)], lone_caption="swapped")
    assert not caplog.records
    CaptionPairs([image(0, 1), image(1, 1)])
    assert "all sentence-image labels are the same" in caplog.text


def test_faults_of_options():
    with pytest.raises(InputError, match=r"random_caption_probability is 1\.5"):
        CaptionPairs([image(0), image(1)], 1.5)
    with pytest.raises(InputError, match="lone_caption is 'skip'; set it to one of alone, random, swapped"):
        CaptionPairs([image(0), image(1)], lone_caption="skip")
    with pytest.raises(InputError, match="only the image 0 of FILE, so no caption of another image"):
        CaptionPairs([image(0)])
    with pytest.raises(InputError, match="captions have no objective"):
        Captions([image(0)], TEXT)
    with pytest.raises(InputError, match="the image 1 of FILE and 0 more have no captions"):
        Captions([image(0), image(1, 0)], TEXT, masking=MaskedLanguageModeling(TOKENIZER))


# Samples


def configured(tmp_path, masking=True, features=(1, 2, 3, 4), **options):
    write_json(tmp_path / "coco" / "captions.json", coco([1, 2, 3, 4], per_image=3))
    write_json(tmp_path / "coco" / "dataset_coco.json", karpathy({1: "train", 2: "restval", 3: "train", 4: "val"}))
    write_store(tmp_path / "features.lmdb", [f"COCO_val2014_{i:012d}" for i in features])
    files = {key: ["coco/captions.json"] for key in ("train", "val")}
    config = {
        "data_dir": str(tmp_path),
        "annotations": files,
        "features": {key: ["features.lmdb"] for key in ("train", "val")},
        "split_file": "coco/dataset_coco.json",
        "split_parts": {"train": ["train", "restval"], "val": ["val"]},
        "random_caption_probability": 0.5,
        **options,
    }
    processors = {"text_processor": TEXT, "region_processor": RegionFeatures(R, D)}
    if masking:
        processors["masking_processor"] = MaskedLanguageModeling(TOKENIZER)
    return config, processors


def test_a_sample_has_everything_that_pretraining_needs(tmp_path):
    config, processors = configured(tmp_path)
    dataset = catalog.get("dataset", "visualbert_captions")(config, "train", processors)
    assert len(dataset) == 9
    sample = dataset[3]  # first caption of image 2
    assert {name: (tuple(value.shape), value.dtype) for name, value in sample.items()} == {
        "id": ((), torch.int64),
        "input_ids": ((T,), torch.int64),
        "text_mask": ((T,), torch.bool),
        "text_segments": ((T,), torch.int64),
        "masked_lm_labels": ((T,), torch.int64),
        "targets": ((), torch.int64),
        "sentence_image_labels": ((), torch.int64),
        "region_features": ((R, D), torch.float16),
        "region_mask": ((R,), torch.bool),
        "region_segments": ((R,), torch.int64),
    }
    assert sample["id"] == 3
    assert sample["targets"] == sample["sentence_image_labels"]
    assert sample["region_mask"].tolist() == [True, True, False]
    assert torch.equal(sample["region_features"][:, 0], torch.tensor([2, 2, 0]).half())
    # [CLS] a [SEP] b [SEP]: the original pieces are where the labels are, or what is seen.
    labels, seen = sample["masked_lm_labels"], sample["input_ids"]
    original = torch.where(labels >= 0, labels, seen)
    assert original[[0, 2, 4]].tolist() == [TOKENIZER.cls_id, TOKENIZER.sep_id, TOKENIZER.sep_id]
    assert VOCABULARY[original[1]] == "w2x0"
    assert sample["text_segments"][:6].tolist() == [0, 0, 0, 1, 1, 0]
    assert sample["text_mask"].sum() == 5
    assert (labels >= 0).sum() >= 1 and (labels[[0, 2, 4]] == -1).all() and (labels[5:] == -1).all()


def test_without_sentence_image_prediction_there_is_one_caption_and_no_label(tmp_path):
    config, processors = configured(tmp_path, sentence_image=False)
    sample = build_captions(config, "train", processors)[0]
    assert "sentence_image_labels" not in sample
    assert torch.equal(sample["targets"], sample["masked_lm_labels"])
    assert sample["text_mask"].sum() == 3


def test_text_only_needs_no_features(tmp_path):
    config, processors = configured(tmp_path, text_only=True)
    del config["features"], processors["region_processor"]
    sample = build_captions(config, "train", processors)[0]
    assert set(sample) == {
        *("id", "input_ids", "text_mask", "text_segments"),
        *("masked_lm_labels", "targets", "sentence_image_labels"),
    }


def test_another_source_of_regions_can_be_passed_in(tmp_path):
    class Frames:
        checked = ()

        def check(self, queries):
            self.checked = [query[:2] for query in queries]

        def tensors(self, query, max_regions=None):
            return {"image": torch.full((3, 2, 2), float(query.key[-1]))}

    config, processors = configured(tmp_path)
    frames = Frames()
    dataset = build_captions(config, "train", processors, regions=frames)
    assert dataset[8]["image"].unique().tolist() == [3.0]
    assert "region_features" not in dataset[8]
    assert frames.checked[0] == ("COCO_val2014_000000000001", f"the image 1 of {tmp_path}/coco/captions.json")


def test_missing_features_are_found_at_build(tmp_path):
    config, processors = configured(tmp_path, features=(1, 3))
    with pytest.raises(InputError, match=r"the image 2 of .*captions\.json has no region features: 'COCO_val2014_0*2'"):
        build_captions(config, "train", processors)


@pytest.mark.parametrize(
    ("pairs", "message"), [(True, "more than 6 .* may be cut"), (False, "more than 14 .* are cut")]
)
def test_cut_captions_are_reported(tmp_path, caplog, pairs, message):
    config, processors = configured(tmp_path, sentence_image=pairs)
    build_captions(config, "train", processors)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    content = coco([1, 2, 3, 4], per_image=3)
    content["annotations"][1]["caption"] = " ".join(["w0x0"] * 20)
    write_json(tmp_path / "coco" / "captions.json", content)
    build_captions(config, "train", processors)
    assert re.search(
        f"captions train: 1 of 9 captions have {message} to max_seq_length 16, first 'w0x0 w0x0", caplog.text
    )


def test_a_part_that_is_not_configured(tmp_path):
    config, processors = configured(tmp_path)
    config["split_parts"] = {"train": ["train"]}
    with pytest.raises(InputError, match=r"split_parts\.val is empty"):
        build_captions(config, "val", processors)
    config["split_file"] = None
    assert len(build_captions(config, "val", processors)) == 12


def test_training_draws_anew_and_repeats_with_the_seed(tmp_path):
    config, processors = configured(tmp_path)
    dataset = build_captions(config, "train", processors)

    def epochs(seed, workers):
        torch.manual_seed(seed)
        loader = DataLoader(dataset, batch_size=3, num_workers=workers)
        return [torch.cat([batch["input_ids"] for batch in loader]) for _ in range(2)]

    for workers in (0, 2):
        first, second = epochs(1, workers)
        assert not torch.equal(first, second)
        again = epochs(1, workers)
        assert torch.equal(first, again[0]) and torch.equal(second, again[1])
        assert not torch.equal(first, epochs(2, workers)[0])


def test_validation_draws_the_same_every_time_and_leaves_the_generator_alone(tmp_path):
    config, processors = configured(tmp_path)
    config["split_parts"]["val"] = ["train", "restval", "val"]
    dataset = build_captions(config, "val", processors)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    once = [dataset[i] for i in range(len(dataset))]
    assert torch.equal(torch.rand(1), expected)
    again = [dataset[i] for i in range(len(dataset))]
    for one, two in zip(once, again, strict=True):
        assert torch.equal(one["input_ids"], two["input_ids"])
        assert one["sentence_image_labels"] == two["sentence_image_labels"]
    # Neighbouring samples still draw differently.
    labels = [sample["sentence_image_labels"].item() for sample in once]
    assert 0 < sum(labels) < len(labels)


def test_a_dataset_can_be_pickled_for_spawned_workers(tmp_path):
    config, processors = configured(tmp_path)
    dataset = build_captions(config, "train", processors)
    dataset.repeatable = True
    copy = pickle.loads(pickle.dumps(dataset))
    assert all(torch.equal(copy[1][name], value) for name, value in dataset[1].items())


def test_predictions_tell_of_each_caption(tmp_path):
    config, processors = configured(tmp_path)
    dataset = build_captions(config, "train", processors)
    output = {
        "id": torch.tensor([4, 0]),
        "sentence_image_logits": torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
        "masked_lm_count": torch.tensor([3, 1]),
        "masked_lm_correct": torch.tensor([2, 1]),
    }
    name = "COCO_val2014_00000000000"
    assert dataset.predictions(output) == [
        {"id": 4, "image": name + "2", "caption": "w2x1", "describes": True}
        | {"masked_lm_count": 3, "masked_lm_correct": 2},
        {"id": 0, "image": name + "1", "caption": "w1x0", "describes": False}
        | {"masked_lm_count": 1, "masked_lm_correct": 1},
    ]
