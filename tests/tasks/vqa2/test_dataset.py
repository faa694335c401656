"""VQA 2.0: official files, MMF's imdb, samples of both objectives, predictions, and what is refused."""

import copy
import json
import logging
import pickle

import numpy as np
import pytest
import torch

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.files.typed import AT_ONCE
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import SPECIAL_TOKENS, TextAssembler
from mmf_visualbert.tasks.vqa2.answers import ANSWER_TYPES, AnswerProcessor
from mmf_visualbert.tasks.vqa2.dataset import build_vqa2
from mmf_visualbert.tasks.vqa2.records import read_annotations, read_questions

QUESTIONS = "v2_OpenEnded_mscoco_train2014_questions.json"
ANNOTATIONS = "v2_mscoco_train2014_annotations.json"
REAL_FILES = [f"vqa2/train_with_features/{QUESTIONS}", f"vqa2/train_with_features/{ANNOTATIONS}"]
WORDS = "what color is the dog ? yes no red 2 blue green cat how many".split()


class World:
    """A folder with three questions in the official format, their features, and processors."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, *WORDS]) + "\n")
        self.questions = {
            "data_subtype": "train2014",
            "questions": [
                {"image_id": 9, "question": "What color is the dog?", "question_id": 9000},
                {"image_id": 9, "question": "How many dog", "question_id": 9001},
                {"image_id": 25, "question": "Is the cat blue? ", "question_id": 25000},
            ],
        }
        self.annotations = {
            "annotations": [
                self.annotation(25000, ["no"] * 9 + ["yes"], "yes/no", 25),
                self.annotation(9000, ["red"] * 2 + ["blue"] * 8, "other", 9),
                self.annotation(9001, ["two"] * 10, "number", 9),
            ]
        }
        with FeatureStoreWriter(folder / "train.lmdb", StoreInfo("test", 4, 3), dtype="float32") as writer:
            for image in (9, 25):
                record = RegionRecord(np.full((2, 4), image, dtype=np.float32))
                writer.add(f"COCO_train2014_{image:012d}", record)
        self.config = {
            "data_dir": str(folder),
            "annotations": {split: ["q.json", "a.json"] for split in ("train", "val")} | {"test": ["q.json"]},
            "features": {split: ["train.lmdb"] for split in ("train", "val", "test")},
        }

    @staticmethod
    def annotation(question_id, answers, answer_type, image_id):
        return {
            "question_id": question_id,
            "image_id": image_id,
            "question_type": "none of the above",
            "answer_type": answer_type,
            "multiple_choice_answer": max(answers, key=answers.count),
            "answers": [
                {"answer": answer, "answer_confidence": "yes", "answer_id": i} for i, answer in enumerate(answers, 1)
            ],
        }

    def write(self):
        (self.folder / "q.json").write_text(json.dumps(self.questions))
        (self.folder / "a.json").write_text(json.dumps(self.annotations))

    def build(self, split="train", masked=False, max_seq_length=16, **parts):
        self.write()
        vocabulary = str(self.folder / "vocab.txt")
        processors = {
            "text_processor": TextAssembler(vocabulary, max_seq_length),
            "region_processor": RegionFeatures(max_regions=3, dimension=4),
            "answer_processor": AnswerProcessor(size=3),
        }
        if masked:
            processors["masking_processor"] = MaskedLanguageModeling(vocabulary)
        return catalog.get("dataset", "visualbert_vqa2")(self.config, split, processors | parts)

    def refused(self, *parts, split="train", **arguments):
        with pytest.raises(InputError) as caught:
            self.build(split, **arguments)
        message = str(caught.value)
        for part in parts:
            assert part in message, message
        return message


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def tokens(dataset, ids):
    return [dataset.text.tokenizer.token(index) for index in ids.tolist() if index != dataset.text.tokenizer.pad_id]


def test_fine_tuning_sample(world):
    dataset = world.build()
    assert len(dataset) == 3
    assert dataset.answers == ["2", "blue", "no"]
    sample = dataset[0]
    assert tokens(dataset, sample["input_ids"]) == "[CLS] what color is the dog ? [MASK] [SEP]".split()
    assert sample["input_ids"][sample["answer_position"]] == dataset.text.tokenizer.mask_id
    assert sample["targets"].tolist() == [0, 1, 0]
    assert sample["id"] == 0
    assert ANSWER_TYPES[sample["answer_types"]] == "other"
    assert sample["region_features"][:2].tolist() == [[9] * 4] * 2
    assert sample["region_mask"].tolist() == [True, True, False]
    assert dataset[2]["region_features"][0, 0] == 25
    assert [ANSWER_TYPES[dataset[i]["answer_types"]] for i in range(3)] == ["other", "number", "yes/no"]


def test_a_question_mark_is_put_where_there_is_none(world):
    dataset = world.build()
    assert tokens(dataset, dataset[1]["input_ids"]) == "[CLS] how many dog ? [MASK] [SEP]".split()
    assert tokens(dataset, dataset[2]["input_ids"]) == "[CLS] is the cat blue ? [MASK] [SEP]".split()


def test_every_sample_has_the_same_keys_and_shapes(world):
    for arguments in ({}, {"split": "val"}, {"split": "test"}, {"masked": True}, {"masked": True, "split": "test"}):
        dataset = world.build(**arguments)
        forms = [{key: (value.shape, value.dtype) for key, value in dataset[i].items()} for i in range(3)]
        assert forms[0] == forms[1] == forms[2]
        assert ("targets" in forms[0]) == (arguments.get("split") != "test" or "masked" in arguments)


def test_training_counts_normalised_answers_and_evaluation_is_official(world):
    # All ten typed "two": the official script does not normalise then, and "2" scores nothing.
    assert world.build("train")[1]["targets"].tolist() == [1, 0, 0]
    assert world.build("val")[1]["targets"].tolist() == [0, 0, 0]


def test_masked_lm_sample(world):
    dataset = world.build(masked=True)
    assert dataset.answers is None
    drawn = set()
    for _ in range(60):
        sample = dataset[0]
        labels, ids = sample["masked_lm_labels"], sample["input_ids"]
        original = torch.where(labels != -1, labels, ids)
        words = tokens(dataset, original)
        assert words[:7] == "[CLS] what color is the dog ?".split()
        assert words[8:] == ["[SEP]"]
        drawn.add(words[7])
        assert (labels != -1).any()
        assert torch.equal(sample["targets"], labels)
        assert not sample["text_segments"].any()
        assert sample["region_features"][:2].tolist() == [[9] * 4] * 2
    assert drawn == {"red", "blue"}
    assert "answer_position" not in sample


def test_masked_lm_repeats_with_the_seed(world):
    dataset = world.build(masked=True)

    def run():
        torch.manual_seed(4)
        return torch.stack([dataset[i % 3]["input_ids"] for i in range(30)])

    assert torch.equal(run(), run())


def test_masked_lm_on_test_questions_has_no_answer(world):
    sample = world.build("test", masked=True)[1]
    assert int(sample["text_mask"].sum()) == 6  # [CLS] how many dog ? [SEP]


def test_predictions(world):
    dataset = world.build("test")
    scores = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    assert dataset.predictions({"id": torch.tensor([2, 0]), "scores": scores}) == [
        {"question_id": 25000, "answer": "blue"},
        {"question_id": 9000, "answer": "2"},
    ]
    assert dataset.predictions({"id": torch.tensor([[1]]), "scores": scores[:1]})[0]["question_id"] == 9001
    with pytest.raises(InputError, match=r"scores 2 answers.*vocabulary has 3"):
        dataset.predictions({"id": torch.tensor([1]), "scores": scores[:1, :2]})
    with pytest.raises(InputError, match="no answers to write"):
        world.build(masked=True).predictions({"id": torch.tensor([1])})


def test_the_unknown_answer_is_never_predicted(world):
    (world.folder / "answers.txt").write_text("<unk>\nno\nyes\n")
    dataset = world.build("test", answer_processor=AnswerProcessor(str(world.folder / "answers.txt")))
    assert dataset.answers == ["<unk>", "no", "yes"]
    entry = dataset.predictions({"id": torch.tensor([0]), "scores": torch.tensor([[9.0, 1.0, 2.0]])})[0]
    assert entry["answer"] == "yes"


def test_vocabulary_of_a_test_split_comes_from_train(world):
    assert world.build("test").answers == world.build("train").answers
    world.config["annotations"]["train"] = ["missing.json"]
    message = world.refused("missing.json", "processors.answer_processor.params.vocabulary", split="test")
    assert "cannot be built" in message


def test_text_alone(world):
    world.config |= {"use_regions": False, "features": None}
    assert "region_features" not in world.build()[0]


def test_several_sources(world):
    more = copy.deepcopy(world.questions)
    more["data_subtype"] = "val2014"
    for record in more["questions"]:
        record["question_id"] += 5
    (world.folder / "q2.json").write_text(json.dumps(more))
    annotations = copy.deepcopy(world.annotations)
    for record in annotations["annotations"]:
        record["question_id"] += 5
    (world.folder / "a2.json").write_text(json.dumps(annotations))
    world.config["annotations"]["train"] = ["a2.json", "q.json", "q2.json", "a.json"]
    world.refused("q2.json has no region features", "COCO_val2014_000000000009", "1 more of 4 images")
    with FeatureStoreWriter(world.folder / "val.lmdb", StoreInfo("test", 4, 3), dtype="float32") as writer:
        for image in (9, 25):
            writer.add(f"COCO_val2014_{image:012d}", RegionRecord(np.full((2, 4), 50.0, dtype=np.float32)))
    world.config["features"]["train"] = ["train.lmdb", "val.lmdb"]
    dataset = world.build()
    assert len(dataset) == 6
    assert dataset[5]["region_features"][0, 0] == 50
    assert dataset.questions[5].answers == dataset.questions[2].answers


def test_long_questions_are_cut_with_a_count(world, caplog):
    world.questions["questions"][1]["question"] = "how many " * 10 + "dog"
    with caplog.at_level(logging.WARNING):
        dataset = world.build()
    assert "1 of 3 questions do not fit into 16 word pieces" in caplog.text
    assert "question 9001" in caplog.text
    sample = dataset[1]
    assert tokens(dataset, sample["input_ids"])[-3:] == ["?", "[MASK]", "[SEP]"]
    assert sample["answer_position"] == 14
    caplog.clear()
    world.build(max_seq_length=32)
    assert not caplog.text
    world.build(masked=True)
    assert "1 of 3 questions" in caplog.text


def test_a_dataset_can_be_pickled(world):
    dataset = world.build()
    copied = pickle.loads(pickle.dumps(dataset))
    assert all(torch.equal(copied[1][key], value) for key, value in dataset[1].items())


def test_loader_with_workers(world):
    loader = torch.utils.data.DataLoader(world.build(), batch_size=2, num_workers=1)
    assert [batch["id"].tolist() for batch in loader] == [[0, 1], [2]]


# What is refused


def test_truncated_file(world):
    world.write()
    text = (world.folder / "a.json").read_text()
    (world.folder / "a.json").write_text(text[:-20])
    world.write = lambda: None
    world.refused("a.json is truncated")


def test_files_that_are_something_else(world):
    world.annotations = {"images": []}
    world.refused("a.json has neither a list 'questions' nor a list 'annotations'")
    world.config["annotations"]["train"] = ["none.json"]
    world.refused("none.json does not exist")
    del world.config["annotations"]["train"]
    world.refused("'train'", "`annotations.train`")


def test_a_file_of_unknown_images(world):
    world.questions["data_subtype"] = "abstract"
    world.refused("q.json", "data_subtype")


@pytest.mark.parametrize("question", ["", "  ", "?", "\n"])
def test_empty_question(world, question):
    world.questions["questions"][1]["question"] = question
    world.refused("question 9001 in", "q.json is empty")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": None}, "question is null, and text is expected"),
        ({"question_id": "x"}, 'question_id is "x", and a whole number is expected'),
        ({"question_id": 123.7}, "question_id is 123.7, and a whole number is expected"),
        ({"question_id": True}, "question_id is true, and a whole number is expected"),
        ({"question_id": 1 << 63}, "question_id is 9223372036854775808"),
        ({"image_id": None}, "image_id is null, and a whole number or text is expected"),
    ],
)
def test_broken_question_records(world, change, message):
    world.questions["questions"][1] |= change
    world.refused("q.json", "questions[1]", message)


def test_broken_annotation_records(world):
    good = copy.deepcopy(world.annotations)
    world.annotations["annotations"][2]["answer_type"] = "riddle"
    world.refused("a.json", "annotations[2]")
    world.annotations = copy.deepcopy(good)
    del world.annotations["annotations"][0]["answers"]
    world.refused("a.json", "annotations[0]", "answers")
    world.annotations = copy.deepcopy(good)
    del world.annotations["annotations"][0]["answers"][3]["answer"]
    world.refused("a.json", "annotations[0] (25000): answers[3] has no 'answer'")
    for value, said in ((None, "is null"), (True, 'is true, and an answer in words is expected; write "yes" or "no"')):
        world.annotations = copy.deepcopy(good)
        world.annotations["annotations"][0]["answers"][3]["answer"] = value
        world.refused("a.json", f"annotations[0]: answers[3].answer {said}")


def test_numbers_are_answers_and_the_majority_is_found_where_the_file_has_none(world):
    """OK-VQA's annotations have no multiple_choice_answer; programs write 2 in place of "2"."""
    for record in world.annotations["annotations"]:
        del record["multiple_choice_answer"], record["answer_type"]
        for one in record["answers"]:
            one["answer"] = 2 if one["answer"] == "two" else one["answer"]
    dataset = world.build()
    assert dataset.answers == ["2", "blue", "no"]
    assert dataset[1]["targets"].tolist() == [1, 0, 0]
    assert [ANSWER_TYPES[dataset[i]["answer_types"]] for i in range(3)] == ["other", "number", "yes/no"]


def test_images_named_in_words(world):
    """Own data has names in place of COCO's numbers, and then need not say which of COCO's folders they are in."""
    del world.questions["data_subtype"]
    for record in world.questions["questions"]:
        record["image_id"] = f"COCO_train2014_{record['image_id']:012d}.jpg"
    assert world.build()[2]["region_features"][0, 0] == 25


def test_twice_the_same(world):
    world.questions["questions"].append(world.questions["questions"][0])
    world.refused("question 9000", "q.json is there already")
    world.questions["questions"].pop()
    world.annotations["annotations"].append(world.annotations["annotations"][0])
    world.refused("the annotation of question 25000", "a.json is there twice")


def test_annotations_missing_or_without_question(world):
    kept = world.annotations["annotations"].pop(1)
    for split in ("train", "val"):
        world.refused("question 9000", "0 more of 3 have no annotation", split=split)
    world.annotations["annotations"] += [kept, world.annotation(7, ["no"], "yes/no", 7)]
    world.refused("the annotation of question 7 in", "a.json", "no question")
    world.config["annotations"]["train"] = ["q.json"]
    world.refused("question 9000", "have no annotation; name the annotation file")
    world.config["annotations"]["train"] = ["a.json"]
    world.refused("hold no questions")
    assert "targets" not in world.build("test", answer_processor=None)[0]


def test_features_missing_or_of_another_dimension(world):
    world.questions["questions"][2]["image_id"] = 26
    world.annotations["annotations"][0]["image_id"] = 26
    world.refused("question 25000", "q.json has no region features", "COCO_train2014_000000000026", "train.lmdb")
    world.questions["questions"][2]["image_id"] = 25
    world.refused("dimension 4", "dimension 7", region_processor=RegionFeatures(max_regions=3, dimension=7))
    world.config["features"]["train"] = ["nothing.lmdb"]
    world.refused("nothing.lmdb")


def test_a_missing_image_is_named_by_the_first_question_about_it(world):
    for question in world.questions["questions"][:2]:
        question["image_id"] = 26
    world.refused("question 9000", "'COCO_train2014_000000000026' and 0 more of 2 images")


def test_files_that_are_read_in_parts(world):
    count = 2 * AT_ONCE + 3
    asked = [
        {"image_id": 9 if one % 2 else "25", "question": f"How many dog {one}", "question_id": one}
        for one in range(count)
    ]
    given = [world.annotation(one, [f"{one}"] * (one % 3 + 1), "number", 9) for one in reversed(range(count))]
    world.questions["questions"], world.annotations["annotations"] = asked, given
    questions = world.build().questions
    for one in (0, 1, AT_ONCE - 1, AT_ONCE, count - 1):
        image = 9 if one % 2 else 25
        name = f"COCO_train2014_{image:012d}"
        answers = (str(one),) * (one % 3 + 1)
        assert questions[one] == (one, image, name, f"How many dog {one}", answers, str(one), "number")
    assert list(questions.image_names) == [questions[one].image_name for one in range(count)]
    asked[count - 1]["question"] = "?"
    world.refused(f"question {count - 1} in", "is empty")
    asked[count - 1]["image_id"] = None
    world.refused(f"questions[{count - 1}] ({count - 1}): image_id is null")
    given[AT_ONCE]["answers"] = [{"answer": True}]
    asked[count - 1] = {**asked[0], "question_id": count - 1}
    world.refused(f"annotations[{AT_ONCE}]: answers[0].answer is true")


# Real records


@pytest.fixture
def real(shared):
    return shared / "realdata"


def test_official_val_records_and_mmfs_form_of_them_agree(real):
    folder = real / "vqa2"
    names = ["v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json"]
    official = read_questions([folder / "val100" / name for name in names], labelled=True)
    imdb = read_questions([folder / "mmf_imdb_built/imdb_val100.npy"], labelled=True)
    assert len(official) == len(imdb) == 100
    agreeing_types = 0
    for index in range(100):
        ours, theirs = official[index], imdb[index]
        assert ours[:5] == theirs[:5]
        agreeing_types += ours.answer_type == theirs.answer_type
    assert agreeing_types == 98
    assert official[0].image_name == "COCO_val2014_000000262148"
    assert official[0].answers == ("down", "down", "at table", "skateboard", "down", "table") + ("down",) * 4
    counts = read_annotations([folder / "val100" / names[1]]).majority_counts()
    assert counts == official.annotations.majority_counts()
    assert sum(counts.values()) == 100
    assert counts.most_common(2)[0][0] in ("yes", "no")


def test_imdb_of_a_test_question(real):
    questions = read_questions([real / "vqa2/mmf_imdb_demo/imdb/imdb_demo.npy"], labelled=False)
    assert questions[0].question == "This is a test question, isnt it?"
    assert questions[0].image_name == "COCO_test2015_000000000001"
    assert questions[0].answers is None
    with pytest.raises(InputError, match="have no annotation"):
        read_questions([real / "vqa2/mmf_imdb_demo/imdb/imdb_demo.npy"], labelled=True)


def test_broken_imdb(tmp_path):
    records = np.empty(2, dtype=object)
    records[:] = [{"version": 1}, {"question_id": 1, "image_id": 2}]
    np.save(tmp_path / "imdb.npy", records, allow_pickle=True)
    with pytest.raises(InputError, match=r"imdb\.npy, record 1 .*feature_path"):
        read_questions([tmp_path / "imdb.npy"], labelled=False)


@pytest.mark.parametrize("files", [REAL_FILES, ["vqa2/mmf_imdb_built/imdb_train_with_features.npy"]])
def test_real_questions_with_real_features(real, files):
    config = {
        "data_dir": str(real),
        "annotations": {"train": files},
        "features": {"train": ["features/train2014_obj36.lmdb"]},
    }
    vocabulary = str(real / "bert/vocab.txt")
    processors = {
        "text_processor": TextAssembler(vocabulary),
        "region_processor": RegionFeatures(max_regions=100, dimension=2048),
        "answer_processor": AnswerProcessor(str(real / "vqa2/answers/answers_vqa.txt")),
    }
    dataset = build_vqa2(config, "train", processors)
    assert len(dataset) == 6
    sample = dataset[0]
    assert tokens(dataset, sample["input_ids"]) == "[CLS] how many people use this bed ? [MASK] [SEP]".split()
    assert sample["region_features"].shape == (100, 2048)
    assert int(sample["region_mask"].sum()) == 36
    best = {dataset.answers[i]: round(float(sample["targets"][i]), 4) for i in sample["targets"].nonzero().flatten()}
    assert best == {"2": 1.0, "1": 0.6}
    assert len({tuple(dataset[i]["targets"].shape) for i in range(6)}) == 1
    masked = build_vqa2(config, "train", processors | {"masking_processor": MaskedLanguageModeling(vocabulary)})
    assert (masked[3]["masked_lm_labels"] != -1).any()
