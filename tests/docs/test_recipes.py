"""The recipes on records in the official forms: what the pages show makes tables without a fault, and models learn."""

import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import recipes
import torch
from mmf_runs import CONFIGS, first_batch, load_trainer, write_config
from pages import commands, shell_lines
from yaml import safe_load

from mmf_visualbert.cli.main import main
from mmf_visualbert.features.info import StoreInfo
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.features.writer import FeatureStoreWriter
from mmf_visualbert.runs import plain, read_config
from mmf_visualbert.tasks.table.checking import check_table

SAMPLE = CONFIGS / "scales" / "sample" / "common.yaml"
DIMENSION, MOST = 16, 5


def extract(words: list[str], folder: Path) -> None:
    """What `visualbert extract` would make, with drawn numbers: two regions an image, by the keys it would give."""
    given = dict(zip(words[2::2], words[3::2], strict=True))
    images, root = folder / given["--images"], folder / given.get("--root", given["--images"])
    paths = sorted(path for path in images.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png"))
    assert paths, words
    with FeatureStoreWriter(folder / given["--out"], StoreInfo("drawn", DIMENSION, MOST), "float16") as writer:
        for path in paths:
            boxes = np.array([[0, 0, 64, 64], [8, 8, 90, 78]], np.float32)
            features = np.random.default_rng(0).random((2, DIMENSION), np.float32)
            writer.add(str(path.relative_to(root).with_suffix("")), RegionRecord(features, boxes, 96, 96))


def follow(name: str, folder: Path, monkeypatch) -> None:
    """What a page says up to its first run: its programs, its features, and the yaml that it shows or writes."""
    page = recipes.PAGES / f"{name}.md"
    (folder / "features").mkdir()
    (folder / "data" / "features").mkdir()
    for block in recipes.blocks(page, "yaml", "bash"):
        if block.language == "yaml":
            (folder / f"{name}.yaml").write_text(block.text)
            continue
        if "<<'END'" in block.text:
            program, _, rest = block.text.partition("<<'END'\n")[2].partition("\nEND\n")
            (folder / f"{name}.py").write_text(program)
            monkeypatch.setattr(sys, "argv", shlex.split(rest)[1:])
            runpy.run_path(str(folder / f"{name}.py"), run_name="__main__")
        for words in shell_lines(block):
            if words[:2] == ["visualbert", "extract"]:
                extract(words, folder)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_recipe_makes_a_table_without_a_fault_and_a_model_learns_it(name, small_world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipes.draw(name, small_world, tmp_path, count=40)
    follow(name, tmp_path, monkeypatch)
    model = {"visualbert": {"region_dimension": DIMENSION, "tokenizer": str(small_world / "bert/vocab.txt")}}
    env = {"data_dir": "data", "save_dir": str(tmp_path / "save")}
    config = write_config(tmp_path, tmp_path / f"{name}.yaml", SAMPLE, model_config=model, env=env)
    findings = list(check_table(plain(read_config(config), "dataset_config.visualbert_table")))
    assert not [finding.text for finding in findings if finding.is_fault]
    assert sum("rows" in finding.text for finding in findings) >= 3
    trainer = load_trainer(config, "training.batch_size=4")
    output = trainer.model(first_batch(trainer))
    assert output["scores"].shape[0] == 4 and all(torch.isfinite(loss).all() for loss in output["losses"].values())


def test_the_yaml_of_photographs_is_what_the_command_writes(small_world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    recipes.draw("photographs", small_world, tmp_path, count=20)
    page = recipes.PAGES / "photographs.md"
    new, *rest = (words for words in commands(page, "visualbert", "mmf_run", "mmf_predict"))
    assert main(new[1:]) in (0, None)
    lines = (tmp_path / "shop.yaml").read_text().splitlines()
    (shown,) = (block.text for block in recipes.blocks(page, "yaml"))
    assert safe_load("\n".join(lines)) == safe_load(shown)
    told = [shlex.split(line.removeprefix("# ")) for line in lines if line.startswith("#")]
    there = [[word for word in words if not word.startswith("env.report_dir")] for words in rest]
    assert all(words in there for words in told), told
