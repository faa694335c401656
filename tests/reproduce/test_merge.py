"""The two models of VCR's chain predict, are merged, and give Q→AR and the leaderboard's files."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import vcr_world
from mmf_runs import CONFIGS
from omegaconf import OmegaConf

from mmf_visualbert import submissions
from mmf_visualbert.errors import InputError
from mmf_visualbert.reproduce import merge as merging
from mmf_visualbert.reproduce.merge import joint_metrics, merge_phases
from mmf_visualbert.reproduce.plan import make_plan
from mmf_visualbert.reproduce.results import table
from mmf_visualbert.reproduce.run import prepare
from mmf_visualbert.tasks.vcr.dataset import build_vcr
from mmf_visualbert.tasks.vcr.task import JOINT

# Right answers of the little world are 0, 2, 3 and right rationales 3, 1, 0.
ANSWERS = torch.tensor([[5.0, 0, 0, 0], [0, 0, 5.0, 0], [0, 5.0, 0, 0]])
RATIONALES = torch.zeros(3, 4, 4)
RATIONALES[0, 0, 3] = RATIONALES[2, 3, 0] = 5.0


class FakePredict:
    """Stands in for the program `mmf_predict`: writes what models with the scores above would."""

    def __init__(self, world):
        self.world, self.code, self.calls = world, 0, []

    def __call__(self, command, check):
        given = dict(part.split("=", 1) for part in command[1:])
        self.calls.append(given)
        split = given["run_type"]
        rationale = f"dataset_config.visualbert_vcr.answer_label.{split}" in given
        label = {split: "all"} if rationale else None
        config = vcr_world.config(self.world, mode="rationale" if rationale else "answer", answer_label=label)
        dataset = build_vcr(config, split, {"text_processor": vcr_world.assembler()})
        scores = RATIONALES.flatten(1) if rationale else ANSWERS
        report = Path(given["env.report_dir"]) / "vcr.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(dataset.predictions({"id": torch.arange(3), "scores": scores})))
        return SimpleNamespace(returncode=self.code)


@pytest.fixture
def world(tmp_path):
    return vcr_world.write_world(tmp_path / "world")


@pytest.fixture
def predict(world, monkeypatch):
    fake = FakePredict(world)
    monkeypatch.setattr(merging.subprocess, "run", fake)
    return fake


@pytest.fixture
def trained(world, tmp_path):
    """The plan, and its prepared phases with what a training leaves of each."""
    plan = make_plan("vcr", "full", "sample")
    prepared = prepare(plan, CONFIGS, tmp_path / "run", 3, [f"env.data_dir={world}"])
    dataset = {"data_dir": str(world), "annotations": {split: [f"vcr/{split}.jsonl"] for split in ("val", "test")}}
    for step in prepared:
        step.folder.mkdir(parents=True)
        (step.folder / "best.ckpt").write_text("weights")
        OmegaConf.save({"dataset_config": {"visualbert_vcr": dataset}}, step.folder / "config.yaml")
    return plan, prepared


def test_both_models_are_merged_on_val_and_test(predict, trained, world, tmp_path):
    plan, prepared = trained
    merged = merge_phases(plan.merge, prepared, tmp_path / "out")
    assert list(merged) == ["val", "test"] and merged["test"].accuracy is None
    assert merged["val"].accuracy == pytest.approx((2 / 3, 2 / 3, 1 / 3))
    for split, each in merged.items():
        assert submissions.check("vcr", each.file, world / f"vcr/{split}.jsonl") == each.entries == 3
    assert joint_metrics(merged) == {JOINT: pytest.approx(1 / 3)}


def test_each_model_predicts_with_its_own_config_and_best_weights(predict, trained, world, tmp_path):
    plan, prepared = trained
    merge_phases(plan.merge, prepared, tmp_path / "out")
    run = tmp_path / "run"
    for given, name in zip(predict.calls, ("defaults", "rationale") * 2, strict=True):
        assert given["config"] == str(run / f"{name}.yaml")
        assert given["checkpoint.resume_file"] == str(run / name / "best.ckpt")
        assert given["env.data_dir"] == str(world) and given["training.seed"] == "3"
        assert "checkpoint.resume_pretrained" not in given, "pre-training's weights would be put over the model's"


def test_a_failed_prediction_or_missing_weights_say_so(predict, trained, tmp_path):
    plan, prepared = trained
    predict.code = 1
    with pytest.raises(InputError, match="predicting val with the answer model failed"):
        merge_phases(plan.merge, prepared, tmp_path / "out")
    predict.code = 0
    (tmp_path / "run" / "rationale" / "best.ckpt").unlink()
    with pytest.raises(InputError, match="of the rationale model is missing; train that model first"):
        merge_phases(plan.merge, prepared, tmp_path / "out")


def test_all_three_numbers_stand_beside_the_papers():
    metrics = {"visualbert_vcr_answer_accuracy": 0.75, "visualbert_vcr_rationale_accuracy": 0.5, JOINT: 0.375}
    heads, ours, theirs, _ = table(make_plan("vcr", "full", "sample"), metrics).splitlines()
    assert heads.split() == ["Q", "→", "A", "QA", "→", "R", "Q", "→", "AR"]
    assert ours.split()[-3:] == ["75.00", "50.00", "37.50"]
    assert theirs.split()[-3:] == ["70.80", "73.20", "52.20"]
