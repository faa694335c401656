"""`visualbert benchmark opening`: a split is opened in a process of its own, and its workers are weighed."""

import json

from mmf_visualbert.benchmark import table
from mmf_visualbert.cli.main import main


def test_a_split_is_opened_and_drawn(tmp_path, capsys):
    file = tmp_path / "opening.json"
    assert main(["benchmark", "opening", "--task", "vqa", "--images", "30", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["samples"] == 150 and 0 < found["cpu_seconds"] and 0 < found["seconds"] < 100
    assert 10 < found["worker_mib"] < 2000 and found["mib"] < 500
    assert "150 samples of vqa open in" in capsys.readouterr().out
    row = table.openings(table.read(tmp_path)).splitlines()[2]
    assert row.startswith("| 150 questions of 30 images | ")


def test_what_cannot_be_opened_is_said(tmp_path, capsys):
    assert main(["benchmark", "opening", "--task", "nlvr2", "--images", "0"]) == 2
    assert capsys.readouterr().err.startswith("visualbert benchmark: error: ")
