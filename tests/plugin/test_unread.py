"""Splits that a run does not need may be absent; what train would teach comes from the checkpoint then."""

import importlib
import json
import shutil

import pytest
import torch
from omegaconf import OmegaConf

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.unread import needed, unread
from mmf_visualbert.tasks.table.labels import LabelProcessor
from mmf_visualbert.tasks.vqa2.answers import AnswerProcessor
from tests.mmf_runs import CONFIGS
from tests.task_checkpoint import SMALL, checkpoint

TEST = "v2_OpenEnded_mscoco_test2015_questions.json"


@pytest.mark.parametrize(
    ("run_type", "splits"),
    [
        ("train", ("train", "val")),
        ("train_val", ("train", "val")),
        ("train_inference", ("train", "val", "test")),
        ("val", ("val",)),
        ("test", ("test",)),
        (["val", "test"], ("val", "test")),
        ("inference", ("test",)),
    ],
)
def test_the_splits_that_a_run_needs(run_type, splits):
    assert needed(OmegaConf.create({"run_type": run_type})) == splits
    assert needed(None) == ("train", "val", "test")


@pytest.fixture
def predict(small_world, tmp_path, toy_project):
    """Predicts test in this process with a world of which test alone is left; gives the entries."""
    path, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    world = tmp_path / "world"
    for name in (f"vqa2/{TEST}", "features/vqa2/test2015.lmdb"):
        (world / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(small_world / name, world / name)

    def run(*words, predict=True):
        sizes = [f"model_config.visualbert.size.{name}={value}" for name, value in SMALL.items()]
        common = [
            *(f"config={CONFIGS / 'vqa2' / 'defaults.yaml'}", f"env.data_dir={world}", "run_type=test"),
            *(f"env.save_dir={tmp_path / 'save'}", f"env.report_dir={tmp_path / 'out'}", "training.num_workers=0"),
            *("model_config.visualbert.bert=null", "model_config.visualbert.random_init=true"),
            *("model_config.visualbert.region_dimension=128", f"evaluation.predict={predict}"),
            f"model_config.visualbert.tokenizer={small_world}/bert/vocab.txt",
        ]
        importlib.import_module("mmf_cli.run").run([*common, *sizes, *words], predict=predict)
        (written,) = (tmp_path / "out").glob("*.json")
        return json.loads(written.read_text())

    return run, path, dataset


def test_test_is_predicted_where_train_and_val_are_absent(predict, small_world):
    run, path, dataset = predict
    entries = run(f"checkpoint.resume_file={path}", "checkpoint.reset.all=true")
    asked = json.loads((small_world / "vqa2" / TEST).read_text())["questions"]
    assert [entry["question_id"] for entry in entries] == [question["question_id"] for question in asked]
    assert {entry["answer"] for entry in entries} <= set(dataset.answers)


@pytest.mark.parametrize("batch_size", [2, 10_000])
def test_a_split_without_labels_is_predicted_and_not_measured(predict, batch_size):
    run, path, _ = predict
    words = (f"checkpoint.resume_file={path}", "checkpoint.reset.all=true", f"training.batch_size={batch_size}")
    with pytest.raises(
        InputError, match=r"the test split of visualbert_vqa2 has no .*answer_types, which .*mmf_predict"
    ):
        run(*words, predict=False)


def test_a_checkpoint_that_knows_no_answers_is_one_sentence(predict):
    run, path, _ = predict
    content = torch.load(path, weights_only=True)
    del content["model"]["heads.visualbert_answer._extra_state"]
    torch.save(content, path)
    with pytest.raises(InputError, match=r"vocabulary cannot be built from the training annotations .*train2014"):
        run(f"checkpoint.resume_file={path}", "checkpoint.reset.all=true")


def test_names_of_the_configuration_stay(tmp_path):
    given, learning = LabelProcessor(["no", "yes"]), LabelProcessor()
    for processor in (given, learning):
        processor.take_names(["cat", "dog"])
    kind = type("Kind", (), {"names": list, "name": "classification"})
    assert given.names(kind, list) == ["no", "yes"] and learning.names(kind, list) == ["cat", "dog"]
    (tmp_path / "answers.txt").write_text("yes\nno\n")
    answers = AnswerProcessor(str(tmp_path / "answers.txt"))
    answers.take_names(["cat"])
    assert answers.vocabulary(dict).answers == ["yes", "no"]


def test_what_is_not_read_gives_no_sample(tmp_path):
    with pytest.raises(InputError, match=r"needs train after all, and .*x\.json does not exist"):
        unread("visualbert_vqa2", "train", tmp_path / "x.json", None)[0]
