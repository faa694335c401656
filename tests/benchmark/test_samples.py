"""`visualbert benchmark samples`: what a sample costs, as shipped and with keys over it, drawn into a table."""

import json

from mmf_visualbert.benchmark import table
from mmf_visualbert.cli.main import main

KEY = "dataset_config.visualbert_vqa2.processors.text_processor.params"


def test_both_take_turns_and_are_drawn(tmp_path, capsys):
    file = tmp_path / "samples.json"
    words = [
        "benchmark",
        "samples",
        "--task",
        "vqa",
        "--images",
        "4",
        "--regions",
        "2",
        "--rounds",
        "1",
        "--batch",
        "8",
    ]
    assert main([*words, f"{KEY}.keep_words=100", f"{KEY}.max_seq_length=32", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["samples"] == 20 and found["command"].startswith("visualbert benchmark samples --task vqa")
    ways = {"first_epoch", "alone", "stacked"}
    assert {name: set(figures) for name, figures in found["microseconds"].items()} == {"shipped": ways, "changed": ways}
    assert all(0 < value < 1e6 for figures in found["microseconds"].values() for value in figures.values())
    shown = capsys.readouterr().out
    assert "shipped  first_epoch " in shown and "changed  first_epoch " in shown
    shipped, changed = table.samples(table.read(tmp_path)).splitlines()[2:]
    assert shipped.startswith("| questions | ")
    assert changed.startswith("| questions, `keep_words=100`, `max_seq_length=32` | ")


def test_a_key_that_there_is_not_is_said(capsys):
    words = ["--task", "vqa", "--images", "1", "--regions", "1", f"{KEY}.keep_word=1"]
    assert main(["benchmark", "samples", *words]) == 2
    assert "keep_word" in capsys.readouterr().err
