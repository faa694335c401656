"""A run goes on where it was, or stops before it writes over anything."""

import importlib
import logging
from pathlib import Path

import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.resuming import checkpoint_of_run, differences
from mmf_visualbert.plugin.save_folder import LOCK

WORDS = Path(__file__).resolve().parents[1] / "toy_project" / "run_words.yaml"
RESUME = "checkpoint.resume=true"


def stored(folder):
    return torch.load(folder / "current.ckpt", weights_only=True)


@pytest.fixture
def cut_off(run_words):
    """A run of three updates, and what is in its folder."""
    folder = run_words("training.max_updates=3")
    return folder, {path: path.read_bytes() for path in folder.iterdir() if path.suffix in (".ckpt", ".yaml")}


def test_it_goes_on_where_it_was(cut_off, run_words, monkeypatch):
    folder, _ = cut_off
    trainer = importlib.import_module("mmf.utils.checkpoint").Checkpoint
    begun = []
    load = trainer.load_state_dict

    def noting(self):
        load(self)
        begun.append(self.trainer.num_updates)

    monkeypatch.setattr(trainer, "load_state_dict", noting)
    run_words("training.max_updates=6", RESUME)
    assert begun == [3]
    assert stored(folder)["num_updates"] == 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model_config.visualbert.region_dimension=4"], "region_dimension is 8, and here it is 4"),
        (["model_config.visualbert.fusion=late"], "fusion is early, and here it is late"),
        (["model_config.visualbert.heads[0].type=visualbert_answer"], r"heads is \['visualbert_pooled'\]"),
        (["datasets=toy_points"], "datasets is toy_words, and here it is toy_points"),
    ],
)
def test_another_run_s_checkpoints_are_left_as_they_are(cut_off, run_words, words, said):
    folder, before = cut_off
    with pytest.raises(InputError, match=said) as refused:
        run_words("training.max_updates=6", RESUME, *words)
    assert str(folder / "current.ckpt") in str(refused.value)
    assert {path: path.read_bytes() for path in before} == before


def test_other_sizes_and_other_weights_are_refused_before_they_are_written_over(cut_off, run_words):
    folder, before = cut_off
    with pytest.raises(InputError, match="weights of another shape"):
        run_words("training.max_updates=6", RESUME, "model_config.visualbert.size.hidden_size=16")
    assert {path: path.read_bytes() for path in before if path.suffix == ".ckpt"} == {
        path: content for path, content in before.items() if path.suffix == ".ckpt"
    }
    content = stored(folder)
    del content["model"]["heads.visualbert_pooled.classifier.bias"]
    torch.save(content, folder / "current.ckpt")
    with pytest.raises(InputError, match=r"lacks .*classifier.bias"):
        run_words("training.max_updates=6", RESUME)


@pytest.mark.parametrize("which", [[], ["checkpoint.resume_best=true"]])
@pytest.mark.parametrize("left", ["models/model_3.ckpt", "run_final.pth", "current.ckpt.damaged"])
def test_where_others_checkpoints_are_nothing_begins(run_words, tmp_path, which, left):
    (tmp_path / "other" / "models").mkdir(parents=True)
    (tmp_path / "other" / left).write_bytes(b"PK")
    with pytest.raises(InputError, match=rf"other has neither current.ckpt nor best.ckpt, and {left} is there"):
        run_words(RESUME, *which, save="other")
    files = [path for path in (tmp_path / "other").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files if path.suffix in (".ckpt", ".pth", ".damaged")] == [b"PK"]


@pytest.mark.parametrize("which", [[], ["checkpoint.resume_best=true"]])
def test_what_does_not_train_needs_a_checkpoint(run_words, tmp_path, which):
    with pytest.raises(InputError, match=r"finds nothing to go on from: .*empty has neither current.ckpt nor best"):
        run_words(RESUME, *which, "run_type=val", save="empty")
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize("there", [False, True])
def test_the_first_start_may_say_that_it_goes_on(run_words, tmp_path, caplog, there):
    """One line for all starts of a job: nothing is there that could be written over, and it is said."""
    if there:
        (tmp_path / "save" / "models").mkdir(parents=True)
    logger = logging.getLogger("mmf_visualbert")
    logger.addHandler(caplog.handler)
    folder = run_words("training.max_updates=3", RESUME)
    logger.removeHandler(caplog.handler)
    assert stored(folder)["num_updates"] == 3
    assert f"{folder} holds no checkpoint to go on from; the run begins at update 0" in caplog.text


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(run_words, tmp_path):
    (tmp_path / "save").mkdir()
    (tmp_path / "save" / LOCK).write_text("process 1 on a machine\n")  # all that such a run leaves
    folder = run_words("training.max_updates=3", RESUME)
    assert stored(folder)["num_updates"] == 3


def test_a_named_file_stands_in_for_what_is_not_there_yet(cut_off, run_words):
    folder, _ = cut_off
    began = run_words("training.max_updates=6", RESUME, f"checkpoint.resume_file={folder / 'best.ckpt'}", save="new")
    assert stored(began)["num_updates"] == 6


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("checkpoint.resume_pretrained=true", "names no checkpoint to start from"),
        ("checkpoint.resume_best=true", "add checkpoint.resume=true"),
    ],
)
def test_half_a_wish_is_refused(configure, word, said):
    with pytest.raises(InputError, match=said):
        configure(f"config={WORDS}", word)


def test_the_second_choice_is_the_other_checkpoint_unless_a_file_is_named(tmp_path):
    section = {"resume": True, "resume_best": False, "resume_file": None, "resume_zoo": None}
    assert checkpoint_of_run(tmp_path, section) is None
    (tmp_path / "best.ckpt").touch()
    assert checkpoint_of_run(tmp_path, section) == tmp_path / "best.ckpt"
    assert checkpoint_of_run(tmp_path, {**section, "resume_file": "x.ckpt"}) is None
    (tmp_path / "current.ckpt").touch()
    assert checkpoint_of_run(tmp_path, section) == tmp_path / "current.ckpt"
    assert checkpoint_of_run(tmp_path, {**section, "resume_best": True}) == tmp_path / "best.ckpt"


def test_what_differs_and_what_may():
    model = {"bert": "a/b", "tokenizer": "a/b", "fusion": "early", "heads": [{"type": "x", "params": {"n": 1}}]}
    ours = {"model": "visualbert", "datasets": "d", "model_config": {"visualbert": model}}
    moved = {**model, "bert": "/c/b", "attention": "eager", "heads": [{"type": "x"}], "region_encoder": None}
    assert not list(differences({**ours, "model_config": {"visualbert": moved}}, ours))
    other = {**model, "region_encoder": {"type": "y"}, "heads": [{"type": "x"}, {"type": "z"}]}
    keys = [each.key for each in differences({**ours, "model_config": {"visualbert": other}}, ours)]
    assert keys == ["model_config.visualbert.heads", "model_config.visualbert.region_encoder"]
    assert [each.key for each in differences({**ours, "datasets": "e", "model": "m"}, ours)][:2] == [
        "model",
        "datasets",
    ]
