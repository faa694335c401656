import logging
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import mmf_visualbert
from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.modules.inputs import Encoded
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.tasks.flickr30k.annotations import (
    PHRASE_TYPES,
    Phrase,
    read_annotation,
    read_sentences,
    read_split,
    read_unrelated,
)
from mmf_visualbert.tasks.flickr30k.dataset import build_flickr30k
from mmf_visualbert.tasks.flickr30k.head import PhraseGrounding
from mmf_visualbert.tasks.flickr30k.records import read_captions

YAML = Path(mmf_visualbert.__file__).parent / "configs" / "datasets" / "flickr30k.yaml"
WORDS = "a man and with in the red hat dog ##s un ##der ##hood photo grass . two old".split()
D, R, E = 8, 12, 5
WIDTH, HEIGHT = 100, 80

CAPTIONS = [
    "[/EN#1/people A man] and [/EN#2/people a man] with [/EN#3/animals two dogs] in [/EN#0/notvisual the photo] .",
    "[/EN#1/people/clothing The man] with [/EN#4/clothing the red underhood] .",
    "[/EN#5/scene The grass] .",
]
BOXES = {1: [(1, 1, 40, 80)], 2: [(50, 1, 100, 80)], 3: [(10, 60, 30, 80), (60, 60, 80, 80)], 4: [(1, 1, 9, 9)]}


def write_xml(path, boxes=BOXES, without=(5,), size=(WIDTH, HEIGHT), extra=""):
    objects = [
        f"<object><name>{chain}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for chain, several in boxes.items()
        for x1, y1, x2, y2 in several
    ]
    objects += [f"<object><name>{chain}</name><scene>1</scene><nobndbox>0</nobndbox></object>" for chain in without]
    width, height = size
    path.write_text(
        f"<annotation><size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        f"{''.join(objects)}{extra}</annotation>"
    )


def write_store(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    with FeatureStoreWriter(path, StoreInfo(detector="test", dimension=D, regions=100)) as writer:
        for key, (boxes, size) in records.items():
            features = np.random.default_rng(0).normal(size=(len(boxes), D)).astype(np.float16)
            writer.add(key, RegionRecord(features, np.array(boxes, np.float32), *size))


REGIONS = [
    (50, 2, 99, 79),  # chain 2
    (0, 0, 41, 80),  # chain 1
    (60, 59, 80, 80),  # the second box of chain 3
    (0, 0, 100, 80),
    (11, 62, 30, 80),  # the first box of chain 3
]


@pytest.fixture
def world(tmp_path):
    """A folder in the official layout with one image, and its configuration."""
    folder = tmp_path / "flickr30k_entities"
    for name in ("Sentences", "Annotations"):
        (folder / name).mkdir(parents=True)
    for split in ("train", "val", "test"):
        (folder / f"{split}.txt").write_text("77\n")
    (folder / "Sentences" / "77.txt").write_text("\n".join(CAPTIONS) + "\n")
    write_xml(folder / "Annotations" / "77.xml")
    write_store(tmp_path / "features" / "flickr30k" / "val.lmdb", {"77": (REGIONS, (WIDTH, HEIGHT))})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    return tmp_path


def config_of(world, **changes):
    model = {"visualbert": {"tokenizer": "none", "region_dimension": D}}
    loaded = OmegaConf.merge(OmegaConf.load(YAML), {"env": {"data_dir": str(world)}, "model_config": model})
    config = OmegaConf.to_container(loaded, resolve=True)["dataset_config"]["visualbert_flickr30k"]
    return config | {"max_phrases": E} | changes


def processors(world, max_seq_length=24, geometry=False, masking=False):
    text = TextAssembler(str(world / "vocab.txt"), max_seq_length)
    built = {"text_processor": text, "region_processor": RegionFeatures(R, D, geometry)}
    return built | ({"masking_processor": MaskedLanguageModeling(text.tokenizer)} if masking else {})


def build(world, changes=(), **settings):
    return build_flickr30k(config_of(world, **dict(changes)), "val", processors(world, **settings))


def test_phrases_of_the_official_format(world):
    sentences = read_sentences(world / "flickr30k_entities" / "Sentences" / "77.txt")
    assert [sentence.number for sentence in sentences] == [1, 2, 3]
    first = sentences[0]
    assert " ".join(first.words) == "A man and a man with two dogs in the photo ."
    assert first.phrases == (
        Phrase(1, ("people",), 0, 1),
        Phrase(2, ("people",), 3, 4),
        Phrase(3, ("animals",), 6, 7),
        Phrase(0, ("notvisual",), 9, 10),
    )
    assert sentences[1].phrases[0].types == ("people", "clothing")


def test_boxes_of_the_official_format(world):
    annotation = read_annotation(world / "flickr30k_entities" / "Annotations" / "77.xml")
    assert (annotation.width, annotation.height, annotation.without_boxes) == (WIDTH, HEIGHT, {5})
    assert annotation.boxes[3].dtype == np.float32
    assert {chain: [tuple(box) for box in boxes.tolist()] for chain, boxes in annotation.boxes.items()} == BOXES


def test_an_object_may_name_several_chains(tmp_path):
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    write_xml(tmp_path / "1.xml", {}, (7,), extra=f"<object><name>7</name><name>8</name>{box}</object>")
    annotation = read_annotation(tmp_path / "1.xml")
    assert {chain: boxes.tolist() for chain, boxes in annotation.boxes.items()} == {
        7: [[1, 2, 3, 4]],
        8: [[1, 2, 3, 4]],
    }
    assert annotation.without_boxes == frozenset()


def test_real_records_give_the_official_counts(shared, tmp_path):
    real = shared / "realdata" / "flickr30k_entities"
    ids = sorted(path.stem for path in (real / "Sentences").glob("*.txt"))
    (tmp_path / "split.txt").write_text("\n".join(ids))
    captions, annotations = read_captions(
        [tmp_path / "split.txt"], real / "Sentences", real / "Annotations", split="val"
    )
    assert len(captions) == 5 * len(ids) == 165

    found = [
        (caption.image_id, caption.number, phrase.chain, caption.text_of(phrase), phrase.types)
        for caption in captions
        for phrase in caption.phrases
    ]
    expected = []
    for image_id in ids:
        objects = re.findall(r"<object>(.*?)</object>", (real / "Annotations" / f"{image_id}.xml").read_text(), re.S)
        boxed = {name for text in objects if "<bndbox>" in text for name in re.findall(r"<name>(\d+)</name>", text)}
        boxes = sum(text.count("<bndbox>") * text.count("<name>") for text in objects)
        assert boxes == sum(len(several) for several in annotations[image_id].boxes.values())
        lines = (real / "Sentences" / f"{image_id}.txt").read_text().splitlines()
        for number, line in enumerate(lines, start=1):
            for chain, types, words in re.findall(r"\[/EN#(\d+)/(\S+) ([^\]]+)\]", line):
                if chain in boxed:
                    expected.append((image_id, number, int(chain), words, tuple(types.split("/"))))
    assert found == expected
    assert len(found) == 495


def test_real_split_files_have_the_official_sizes(shared):
    real = shared / "realdata" / "flickr30k_entities"
    sizes = {split: len(read_split(real / f"{split}.txt")) for split in ("train", "val", "test")}
    assert sizes == {"train": 29783, "val": 1000, "test": 1000}
    unrelated = read_unrelated(real / "UNRELATED_CAPTIONS")
    assert len(unrelated) == 21 and ("129602216", 5) in unrelated


def test_sample_of_one_caption(world):
    dataset = build(world)
    assert len(dataset) == 2  # the third caption has no phrase with a box
    sample = dataset[0]
    tokens = [dataset.text.tokenizer.token(index) for index in sample["input_ids"].tolist()]
    assert tokens[:15] == "[CLS] a man and a man with two dog ##s in the photo . [SEP]".split()
    # "a man" stands twice, each phrase reads its own; "dogs" is read at its last sub-word.
    assert sample["phrase_positions"].tolist() == [2, 5, 9, -1, -1]
    assert sample["phrase_mask"].tolist() == [True, True, True, False, False]
    assert sample["phrase_types"].tolist()[:3] == [0, 0, PHRASE_TYPES.index("animals")]
    matches = [row.nonzero()[:, 0].tolist() for row in sample["phrase_targets"]]
    assert matches == [[1], [0], [2, 4], [], []]
    assert sample["id"] == 0 and torch.equal(sample["targets"], sample["phrase_targets"])
    shapes = {name: tuple(value.shape) for name, value in sample.items()}
    assert shapes["phrase_targets"] == (E, R) and shapes["region_features"] == (R, D)
    assert shapes == {name: tuple(value.shape) for name, value in dataset[1].items()}


def test_a_phrase_without_a_matching_region_stays(world):
    sample = build(world)[1]
    assert sample["phrase_mask"].tolist()[:2] == [True, True]
    assert sample["phrase_targets"].any(1).tolist()[:2] == [True, False]
    assert sample["phrase_positions"].tolist()[:2] == [2, 8]  # "un ##der ##hood"


def test_phrases_beyond_the_cut_count_and_are_reported(world, caplog):
    with caplog.at_level(logging.WARNING):
        dataset = build(world, max_seq_length=8)
    assert "2 captions are longer than max_seq_length 8; 2 phrases stand beyond the cut" in caplog.text
    sample = dataset[0]
    assert sample["phrase_positions"].tolist() == [2, 5, -1, -1, -1]
    assert sample["phrase_mask"].tolist() == [True, True, True, False, False]
    assert dataset[1]["phrase_positions"].tolist()[:2] == [2, -1]
    batch = {name: torch.stack([dataset[0][name], dataset[1][name]]) for name in sample}
    output = PhraseGrounding(hidden_size=4, heads=1)(random_states(batch), batch)
    assert output.phrase_cut.tolist() == [1, 1] and output.phrase_count.tolist() == [3, 2]
    entries = dataset.predictions({"id": batch["id"], "scores": output.scores})
    assert [entry["region"] is None for entry in entries] == [False, False, True, False, True]


def random_states(batch, hidden=4):
    samples, length = batch["input_ids"].shape
    return Encoded(
        torch.randn(samples, length, hidden),
        torch.randn(samples, R, hidden),
        batch["text_mask"],
        batch["region_mask"],
    )


def test_a_phrase_of_nothing_that_bert_reads_has_no_place(world):
    path = world / "flickr30k_entities" / "Sentences" / "77.txt"
    path.write_text("[/EN#1/people \x01\x02] and [/EN#2/people a man \x03] .\n")
    assert build(world)[0]["phrase_positions"].tolist()[:2] == [-1, 3]


def test_geometry_widens_the_features(world):
    sample = build(world, geometry=True)[0]
    assert sample["region_features"].shape == (R, D + 6)
    expected = torch.tensor([0.5, 2 / 80, 0.99, 79 / 80, 0.49, 77 / 80])
    torch.testing.assert_close(sample["region_features"][0, D:].float(), expected, atol=1e-3, rtol=0)


def test_masks_of_validation_repeat_and_those_of_training_do_not(world):
    store = world / "features" / "flickr30k"
    (store / "train.lmdb").write_bytes((store / "val.lmdb").read_bytes())
    for split, repeats in (("val", True), ("train", False)):
        dataset = build_flickr30k(config_of(world), split, processors(world, masking=True))
        visits = [torch.cat([dataset[index]["masked_lm_labels"] for index in range(3)]).tolist() for _ in range(8)]
        assert (len(set(map(tuple, visits))) == 1) is repeats, split
        state = torch.get_rng_state()
        dataset[0]
        assert torch.equal(torch.get_rng_state(), state) is repeats, "validation leaves the generator as it was"


def test_task_specific_pretraining_masks_all_captions(world):
    dataset = build(world, masking=True)
    assert len(dataset) == 3
    sample = dataset[2]
    assert "phrase_targets" not in sample and (sample["masked_lm_labels"] >= 0).sum() >= 1
    hidden = sample["masked_lm_labels"] >= 0
    plain = dataset.text.single("the grass .").input_ids
    assert torch.equal(torch.where(hidden, sample["masked_lm_labels"], sample["input_ids"]), plain)
    assert torch.equal(sample["targets"], sample["masked_lm_labels"])
    assert sample.keys() == dataset[0].keys()


def test_predictions_name_region_and_box(world):
    dataset = build(world)
    scores = torch.full((2, E, R), -torch.inf)
    scores[0, :3, :5] = torch.tensor([[0, 5, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 2.0]])
    scores[1, :2, :5] = torch.tensor([[3, 0, 0, 0, 0], [0, 0, 1.0, 0, 0]])
    entries = dataset.predictions({"id": torch.tensor([1, 0]), "scores": scores[[1, 0]].flatten(1)})
    assert [(entry["sentence"], entry["chain"], entry["region"]) for entry in entries] == [
        (2, 1, 0),
        (2, 4, 2),
        (1, 1, 1),
        (1, 2, 3),
        (1, 3, 4),
    ]
    assert entries[3] == {
        "image_id": "77",
        "sentence": 1,
        "chain": 2,
        "phrase": "a man",
        "type": "people",
        "first_word": 3,
        "region": 3,
        "box": [0.0, 0.0, 100.0, 80.0],
    }


def test_unrelated_captions_are_left_out_on_request(world):
    (world / "unrelated").write_text("# format: <imageID> <sentence number>\n77 1\n")
    dataset = build(world, {"unrelated_captions": "unrelated"})
    assert [caption.number for caption in dataset.captions] == [2]


def test_registered_and_picklable(world):
    build_registered = catalog.get("dataset", "visualbert_flickr30k")
    dataset = build_registered(config_of(world), "val", processors(world))
    copy = pickle.loads(pickle.dumps(dataset))
    for name, value in dataset[0].items():
        assert torch.equal(copy[0][name], value), name


def break_caption(world, text):
    (world / "flickr30k_entities" / "Sentences" / "77.txt").write_text(text)


def break_boxes(world, **changes):
    write_xml(world / "flickr30k_entities" / "Annotations" / "77.xml", **changes)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda w: break_caption(w, "[/EN#1/people A man and"), r"77.txt caption 1: the brackets do not fit at 'and'"),
        (lambda w: break_caption(w, "a\n[/EN#1/people A [/EN#2/people man]"), "caption 2: .* at '\\[/EN#2/people'"),
        (lambda w: break_caption(w, "A man] and"), r"caption 1: the brackets do not fit at 'man\]'"),
        (lambda w: break_caption(w, "[/EN#1/people ] and"), r"caption 1: the brackets do not fit"),
        (lambda w: break_caption(w, "[/EN#x/people A man]"), "the brackets do not fit"),
        (lambda w: break_caption(w, "\n\n"), "77.txt holds no caption"),
        (lambda w: break_caption(w, "[/EN#9/people A man]"), "caption 1: the phrase 'A man' has the chain 9"),
        (lambda w: break_caption(w, "[/EN#1/robot A man]"), "'A man' has the type 'robot', which is none of people"),
        (lambda w: break_caption(w, "a [/EN#5/scene grass]"), "no caption of the split 'val' has a phrase with a box"),
        (lambda w: break_boxes(w, boxes={}, without=()), "77.xml names no box"),
        (
            lambda w: break_boxes(w, extra="<object><name>6</name><scene>0</scene><nobndbox>0</nobndbox></object>"),
            "77.xml chain 6 names no box",
        ),
        (lambda w: break_boxes(w, extra="<object><scene>1</scene></object>"), "object with the names \\[\\]"),
        (lambda w: break_boxes(w, boxes=BOXES | {1: [(1, 1, 140, 80)]}), r"chain 1: the box \(1, 1, 140, 80\) is out"),
        (lambda w: break_boxes(w, boxes=BOXES | {2: [(-5, 1, 40, 80)]}), "chain 2: the box .* is outside the image"),
        (lambda w: break_boxes(w, boxes=BOXES | {4: [(9, 9, 9, 20)]}), r"chain 4: the box \(9, 9, 9, 20\) has no area"),
        (lambda w: break_boxes(w, size=("wide", 80)), "'wide' in place of a number in size/width"),
        (lambda w: (w / "flickr30k_entities/Annotations/77.xml").write_text("<annotation>"), "not readable as XML"),
        (lambda w: (w / "flickr30k_entities/Annotations/77.xml").unlink(), "val.txt names the image 77, but .*77.xml"),
        (lambda w: (w / "flickr30k_entities/Sentences/77.txt").unlink(), "val.txt names the image 77, but .*77.txt"),
        (lambda w: (w / "flickr30k_entities/val.txt").write_text("77\n77\n"), "names the image 77 twice"),
        (lambda w: (w / "flickr30k_entities/val.txt").write_text("\n"), "val.txt names no image"),
        (lambda w: (w / "flickr30k_entities/val.txt").unlink(), "split file .*val.txt is missing"),
    ],
)
def test_faulty_files_are_named(world, broken, message):
    broken(world)
    with pytest.raises(InputError, match=message):
        build(world)


def test_missing_features_name_the_caption(world):
    (world / "features/flickr30k/val.lmdb").unlink()
    write_store(world / "features/flickr30k/val.lmdb", {"78": (REGIONS, (WIDTH, HEIGHT))})
    with pytest.raises(InputError, match="caption 1 of image 77 has no region features"):
        build(world)


def test_regions_of_another_image_size_are_refused(world):
    (world / "features/flickr30k/val.lmdb").unlink()
    write_store(world / "features/flickr30k/val.lmdb", {"77": (REGIONS, (2 * WIDTH, HEIGHT))})
    with pytest.raises(InputError, match=r"image 77 is 100 x 80 in its annotation and 200 x 80 in .*val.lmdb"):
        build(world)[0]


def test_regions_without_boxes_are_refused(world):
    dataset = build(world)
    (world / "features/flickr30k/val.lmdb").unlink()
    with FeatureStoreWriter(world / "features/flickr30k/val.lmdb", StoreInfo("test", D, 100)) as writer:
        writer.add("77", RegionRecord(np.ones((3, D), np.float16)))
    dataset.regions.store = FeatureStore(str(world / "features/flickr30k/val.lmdb"))
    with pytest.raises(InputError, match=r"the regions of image 77 have no boxes in .*val.lmdb"):
        dataset[0]


def test_more_phrases_than_room_names_caption_and_key(world):
    with pytest.raises(InputError, match="caption 1 of image 77 has 3 phrases and max_phrases is 2; set max_phrases"):
        build(world, {"max_phrases": 2})
    assert len(build(world, {"max_phrases": 2}, masking=True)) == 3


@pytest.mark.parametrize("key", ["sentences", "boxes"])
def test_missing_keys_are_named(world, key):
    with pytest.raises(InputError, match=f"dataset_config.visualbert_flickr30k.{key} is left out"):
        build(world, {key: None})


def test_a_split_that_is_not_configured_is_named(world):
    with pytest.raises(InputError, match="the split 'val' is left out"):
        build(world, {"annotations": {"train": []}})


def test_not_strict_mends_counts_and_goes_on(world, caplog):
    break_caption(world, "[/EN#1/robot A man] and [/EN#9/people a man] with [/EN#4/clothing the hat]\n")
    break_boxes(world, boxes={1: [(-20, 1, 40, 120)], 4: [(9, 9, 9, 20)], 2: [(300, 1, 400, 20)]})
    with caplog.at_level(logging.WARNING):
        dataset = build(world, {"strict": False})
    assert "3 faulty boxes cut or left out, 3 phrases with unknown chain or type" in caplog.text
    assert dataset.annotations["77"].boxes[1].tolist() == [[0, 1, 40, 80]]
    assert [phrase.chain for phrase in dataset.captions[0].phrases] == [1]
    assert dataset[0]["phrase_types"][0] == PHRASE_TYPES.index("other")


def test_an_image_without_any_box_is_reported(world, caplog):
    (world / "flickr30k_entities" / "val.txt").write_text("77\n78\n")
    (world / "flickr30k_entities" / "Sentences" / "78.txt").write_text("[/EN#5/scene The grass] .\n")
    write_xml(world / "flickr30k_entities" / "Annotations" / "78.xml", boxes={})
    with caplog.at_level(logging.WARNING):
        assert len(build(world)) == 2
    assert "1 images have no box at all, image 78 first" in caplog.text
