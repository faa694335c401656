"""Two models' prediction files become the leaderboard's csv and Q→AR."""

import csv
import importlib.util
import json
from pathlib import Path

import pytest
import torch
import vcr_world

from mmf_visualbert import submissions
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vcr.dataset import build_vcr
from mmf_visualbert.tasks.vcr.predictions import accuracy_of, merge_predictions

ROOT = Path(__file__).parents[3]


def tool():
    spec = importlib.util.spec_from_file_location("vcr_leaderboard", ROOT / "tools" / "vcr_leaderboard.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(tmp_path):
    return vcr_world.write_world(tmp_path)


def predict(world, split, answers, rationales):
    """Prediction files for scores (3, 4) and (3, 16), one record twice as on several ranks."""
    paths = []
    for mode, scores in (("answer", answers), ("rationale", rationales)):
        config = vcr_world.config(world, mode=mode, answer_label={split: "all"} if mode == "rationale" else None)
        dataset = build_vcr(config, split, {"text_processor": vcr_world.assembler()})
        entries = dataset.predictions({"id": torch.tensor([0, 1, 2, 0]), "scores": scores[[0, 1, 2, 0]]})
        paths.append(world / f"{mode}.json")
        paths[-1].write_text(json.dumps(entries))
    return paths


def scores():
    """Right answers are 0, 2, 3 and right rationales 3, 1, 0: two answers are right, two rationales, one both."""
    answers = torch.zeros(3, 4)
    answers[0, 0] = answers[1, 2] = answers[2, 1] = 5.0
    rationales = torch.zeros(3, 4, 4)
    rationales[0, 0, 3] = rationales[2, 3, 0] = 5.0
    rationales[1, 2, 2] = rationales[1, 0, 1] = 5.0  # right only given a wrong answer: does not count
    return answers, rationales.flatten(1)


def test_csv_and_accuracies_on_val(world, capsys):
    answers, rationales = predict(world, "val", *scores())
    out, annotations = world / "val.csv", world / "vcr/val.jsonl"
    given = ["merge", str(answers), str(rationales), str(out), "--annotations", str(annotations)]
    assert tool().main(given) == 0
    assert "3 questions   Q→A 66.67   QA→R 66.67   Q→AR 33.33" in capsys.readouterr().out
    assert submissions.check("vcr", out, annotations) == 3
    rows = list(csv.DictReader(out.open()))
    assert len(rows[0]) == 21 and rows[1]["annot_id"] == "val-1"
    assert float(rows[1]["rationale_conditioned_on_a2_2"]) > 0.9 > float(rows[1]["rationale_conditioned_on_a2_1"])


def test_test_has_no_labels(world):
    answers, rationales = predict(world, "test", *scores())
    assert accuracy_of(merge_predictions(answers, rationales), world / "vcr/test.jsonl") is None


def test_files_that_do_not_fit_each_other(world, capsys):
    answers, rationales = predict(world, "val", *scores())
    entries = json.loads(rationales.read_text())
    rationales.write_text(json.dumps(entries[1:3]))
    with pytest.raises(InputError, match="no prediction of val-0"):
        merge_predictions(answers, rationales)
    with pytest.raises(InputError, match="no score in one of answer_0 to answer_3"):
        merge_predictions(rationales, rationales)
    kept = json.loads(answers.read_text())
    rationales.write_text(json.dumps(entries))
    answers.write_text(json.dumps(kept[1:3]))
    given = [
        "merge",
        str(answers),
        str(rationales),
        str(world / "x.csv"),
        "--annotations",
        str(world / "vcr/val.jsonl"),
    ]
    assert tool().main(given) == 2
    assert "has no prediction of val-0" in capsys.readouterr().err


def test_a_missing_checkpoint_is_one_sentence(world, capsys):
    given = ["predict", "--data-dir", str(world), "--out", str(world / "out")]
    models = ["--answer", "a.yaml", "none.ckpt", "--rationale", "r.yaml", "none.ckpt"]
    assert tool().main([*given, *models]) == 2
    assert "the checkpoint none.ckpt of the answer model is missing" in capsys.readouterr().err
