"""The lines of docs/python.md run as they stand, in their order, after a run on the sample world."""

import json
import os

import pages
from task_checkpoint import checkpoint

from mmf_visualbert.cli.main import main

PAGE = pages.ROOT / "docs" / "python.md"


def test_the_lines_of_the_page_run(small_world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("save/vqa2/defaults", "data"):
        (tmp_path / folder).mkdir(parents=True)
    os.symlink(small_world, tmp_path / "data" / "sample")
    _, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path / "save/vqa2/defaults")
    blocks = pages.blocks(PAGE, "python")
    assert len(blocks) == 4
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
