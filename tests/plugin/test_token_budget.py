"""`training.token_budget`: batches keep within it, hold each sample once, and a run that is stopped goes on exactly."""

import importlib
import shutil

import numpy as np
import pytest
import torch
import warm
from mmf_runs import CONFIGS, load_trainer, write_config

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.loaders import order_of

SCALE = CONFIGS / "scales" / "sample"
BUDGETS = {"vqa2/defaults": 300, "vqa2/pretrain_coco": 600, "nlvr2/defaults": 400, "vcr/defaults": 1500}
DRAWN = ("vqa2/pretrain_coco",)  # the length of what is drawn is not known before


def run_file(config, world, folder):
    """The yaml of a run on the sample world."""
    task, phase = config.split("/")
    overlays = [SCALE / "common.yaml", SCALE / f"{task}.yaml", SCALE / f"{task}_{phase}.yaml"]
    folders = {"data_dir": str(world), "save_dir": str(folder / "save")}
    return write_config(folder, CONFIGS / f"{config}.yaml", *(file for file in overlays if file.exists()), env=folders)


def tokens(batch):
    """Tokens of each sample of a batch (B,), padding not counted."""
    sequences = batch["text_mask"].size(1) if batch["text_mask"].dim() == 3 else 1
    return batch["text_mask"].flatten(1).sum(1) + sequences * batch["region_mask"].sum(1)


@pytest.mark.parametrize("config", BUDGETS)
def test_batches_keep_within_it_and_hold_each_sample_once(config, small_world, tmp_path):
    budget = BUDGETS[config]
    trainer = load_trainer(
        run_file(config, small_world, tmp_path), f"training.token_budget={budget}", "training.batch_size=6"
    )
    loaders = trainer.train_loader.loaders
    loader = loaders[0] if isinstance(loaders, list) else next(iter(loaders.values()))
    order = order_of(loader)
    batches = list(loader)
    assert len(batches) == len(order) == len(loader)
    ids = torch.cat([batch["id"] for batch in batches])
    assert sorted(ids.tolist()) == list(range(len(loader.dataset)))
    exact = torch.cat([tokens(batch) for batch in batches])[ids.argsort()].numpy()
    known = loader.dataset.dataset.facts.lengths()
    if config in DRAWN:
        assert np.abs(known - exact).mean() < 0.15 * exact.mean()
    else:
        assert (known == exact).all()
        assert all(int(tokens(batch).max()) * len(batch["id"]) <= budget for batch in batches)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(toy_project, small_world, tmp_path):
    run = importlib.import_module("mmf_cli.run").run
    words = [f"config={run_file('flickr30k/defaults', small_world, tmp_path)}", "training.token_budget=300"]
    words += ["training.batch_size=6", "training.seed=1", "run_type=train", "training.checkpoint_interval=1"]

    def saved(save, *more):
        run([*words, f"env.save_dir={tmp_path / save}", *more])
        return torch.load(tmp_path / save / "current.ckpt", weights_only=True)

    whole = saved("whole", "training.max_updates=5")
    (tmp_path / "stopped").mkdir()
    shutil.copy(tmp_path / "whole" / "models" / "model_3.ckpt", tmp_path / "stopped" / "current.ckpt")
    resumed = saved("stopped", "training.max_updates=5", "checkpoint.resume=true")
    assert whole["visualbert"]["samples"] == resumed["visualbert"]["samples"] > 0
    assert whole["num_updates"] == resumed["num_updates"] == 5
    assert not [name for name, value in whole["model"].items() if not torch.equal(value, resumed["model"][name])]


def test_two_processes_learn_what_one_does(small_world, tmp_path):
    words = [f"config={run_file('vqa2/defaults', small_world, tmp_path)}", "training.token_budget=300"]
    words += ["training.batch_size=8", "run_type=train", "training.max_updates=4", "training.max_epochs=null"]
    one = warm.losses(words, tmp_path / "one")
    assert len(one) == 4
    assert warm.losses(words, tmp_path / "two", processes=2) == pytest.approx(one, rel=1e-5)


def test_a_dataset_that_cannot_say_how_long_its_samples_are_is_refused(run_words):
    with pytest.raises(InputError, match="token_budget is 99, and toy_words cannot say how long its samples are"):
        run_words("training.token_budget=99")
