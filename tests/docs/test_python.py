"""The lines of docs/python.md run as they stand, in their order, after a run on the sample world."""

import json
import os
import shutil

import pages
from PIL import Image
from task_checkpoint import checkpoint

from mmf_visualbert.cli.main import main

PAGE = pages.ROOT / "docs" / "python.md"


def scenes_of(world, folder):
    """A run on VCR, and a frame of two persons at least with what it shows."""
    (folder / "save/vcr/defaults").mkdir(parents=True)
    encoder = "model_config.visualbert.region_encoder.params"
    small = [f"{encoder}.backbone=small", f"{encoder}.weights=null", "dataset_config.visualbert_vcr.image_size=[96,48]"]
    _, dataset, _ = checkpoint(world, "vcr", "defaults", folder / "save/vcr/defaults", overrides=small)
    record = next(record for record in dataset.annotations if len(record.objects) > 1)
    frames = world / "vcr/vcr1images"
    Image.open(frames / record.frame).save(folder / "frame.jpg")
    shutil.copy(frames / record.metadata, folder / "frame.json")


def test_the_lines_of_the_page_run(small_world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("save/vqa2/defaults", "data"):
        (tmp_path / folder).mkdir(parents=True)
    os.symlink(small_world, tmp_path / "data" / "sample")
    _, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path / "save/vqa2/defaults")
    scenes_of(small_world, tmp_path)
    blocks = pages.blocks(PAGE, "python")
    assert len(blocks) == 5 and not any(pages.why_not_run(PAGE, block) for block in blocks)
    names: dict = {}
    for block in blocks:
        exec(compile(block.text, f"{PAGE.name}:{block.line}", "exec"), names)
    said = capsys.readouterr().out
    assert "is a checkpoint of ours, trained on visualbert_vqa2" in said and "[CLS] None looks at the region" in said
    record = dataset.questions[0]
    (tmp_path / "questions.jsonl").write_text(json.dumps({"text": record.question, "image": record.image_name}) + "\n")
    (command,) = (words for words in pages.commands(PAGE, "visualbert") if words[1] == "predict")
    assert main(command[1:]) == 0
    assert json.loads((tmp_path / "answers.jsonl").read_text())["replies"]
