"""`visualbert benchmark keys`: runs with the fast paths and without them, side by side."""

import json
import sys

import pytest

from mmf_visualbert.benchmark import keys, table
from mmf_visualbert.cli.main import main
from mmf_visualbert.errors import InputError
from mmf_visualbert.places import FINAL, METRICS

METRIC = "val/visualbert_vqa2/visualbert_vqa_accuracy"
VALUES = {"on1": 0.75, "off1": 0.5, "on2": 0.25, "off2": 0.75}


def finished(folder, accuracy):
    """A run's folder: an evaluation on the way, and the one of the best model at its end."""
    folder.mkdir(parents=True)
    rows = [{"update": 1, METRIC: 0.1}, {"update": 2, "train/loss": 1.0}, {"update": 3, METRIC: accuracy}]
    (folder / METRICS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / FINAL).write_bytes(b"")


def test_finished_runs_are_read_and_drawn(tmp_path, capsys):
    for name, accuracy in VALUES.items():
        finished(tmp_path / "runs" / name, accuracy)
    file = tmp_path / "keys.json"
    assert main(["benchmark", "keys", "--seeds", "1,2", "--folder", str(tmp_path / "runs"), "--json", str(file)]) == 0
    assert "on - off: -0.1250 (-0.5000 to +0.2500)" in capsys.readouterr().out
    found = table.read(tmp_path)
    assert found[0]["on"] == {"1": 0.75, "2": 0.25} and found[0]["off"] == {"1": 0.5, "2": 0.75}
    assert table.keys(found).splitlines() == [
        "|  | seed 1 | seed 2 | mean |",
        "| --- | --- | --- | --- |",
        "| as shipped | 75.00 | 25.00 | 50.00 |",
        "| without | 50.00 | 75.00 | 62.50 |",
    ]


def test_a_run_that_fails_and_one_without_an_evaluation_are_refused(forked, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(forked / "python"))
    words = ["benchmark", "keys", "--seeds", "7", "--data", str(tmp_path / "no_data"), "--folder", str(tmp_path)]
    assert main(words) == 2
    assert "training.seed=7 training.max_epochs=6 ended with code" in capsys.readouterr().err
    (tmp_path / METRICS).write_text('{"update": 1}\n')
    with pytest.raises(InputError, match="has no val/accuracy; delete the run's folder"):
        keys.best_of(tmp_path / METRICS, "val/accuracy")
