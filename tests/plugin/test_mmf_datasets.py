"""MMF's own datasets, by the project's yamls: our model and MMF's visual_bert train, evaluate and predict."""

import importlib
import json
from pathlib import Path

import pytest
import torch
from mmf_runs import CONFIGS, write_config

from mmf_visualbert.errors import InputError

SAMPLE = CONFIGS / "scales" / "sample"
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 256,
}
GENRES = {"Drama", "Comedy", "War", "Horror", "Family", "Music"}
# Of each dataset the head's outputs, the metric of the best checkpoint, and whether an entry of predictions is whole.
DATASETS = {
    "visual_entailment": (3, "accuracy", lambda one: one["label"] in ("entailment", "neutral", "contradiction")),
    "mmimdb": (8, "multilabel_micro_f1", lambda one: GENRES.issuperset(one["genres"])),
    "vizwiz": (8, "vqa_accuracy", lambda one: one["image"].startswith("VizWiz_test_0") and one["answer"]),
    "gqa": (8, "vqa_accuracy", lambda one: one["questionId"] >= 0 and one["prediction"]),
}


def trained(name: str, model: str, world: Path, folder: Path, predict: bool = True, **more: dict) -> list[dict]:
    """Two updates by the yaml of a dataset, an evaluation, and predictions, of which those of test are given back."""
    overlay = SAMPLE / f"mmf_datasets_{name}.yaml"
    files = [CONFIGS / f"mmf_datasets/{name}.yaml", SAMPLE / "common.yaml", SAMPLE / "mmf_datasets.yaml"]
    sizes = {"visualbert": {"size": SMALL}, **more}
    env = {"data_dir": str(world), "save_dir": str(folder / "save"), "report_dir": str(folder / "reports")}
    files += [overlay] if overlay.exists() else []
    updates = {"max_updates": 2, "max_epochs": None, "evaluation_interval": 2, "batch_size": 8, "seed": 1}
    run = write_config(
        folder,
        *files,
        model=model,
        model_config=sizes,
        training={**updates, "tensorboard": False},
        evaluation={"predict": predict},
        run_type="train_val_test",
        env=env,
    )
    importlib.import_module("mmf_cli.run").run([f"config={run}", "evaluation.predict_file_format=json"])
    return [entry for file in (folder / "reports").glob("*_test_*.json") for entry in json.loads(file.read_text())]


def visual_bert(outputs: int) -> dict:
    """MMF's model, as small."""
    loss = "cross_entropy" if outputs < 4 else "logit_bce"
    sizes = {**SMALL, "vocab_size": 30522, "visual_embedding_dim": 128, "hidden_dropout_prob": 0.1}
    head = {"training_head_type": "classification", "num_labels": outputs, "losses": [{"type": loss}]}
    return {"visual_bert": {"bert_model_name": None, **sizes, **head}}


@pytest.mark.parametrize(
    ("name", "model"),
    [*((name, "visualbert") for name in DATASETS), ("visual_entailment", "visual_bert"), ("gqa", "visual_bert")],
)
def test_a_dataset_of_mmf_is_trained_on_evaluated_and_predicted(name, model, mmf_world, toy_project, tmp_path):
    registry = importlib.import_module("mmf.common.registry").registry
    if registry.get_builder_class(name) is None:
        pytest.skip(f"the installed MMF has no dataset {name}")
    outputs, metric, whole = DATASETS[name]
    more = visual_bert(outputs) if model == "visual_bert" else {}
    entries = trained(name, model, mmf_world, tmp_path, **more)
    assert len(entries) == 24 and all(map(whole, entries)), entries[:2]
    best = torch.load(tmp_path / "save" / "best.ckpt", weights_only=True)
    assert best["num_updates"] == 2 and 0 <= float(best["best_metric_value"]) <= 1, metric


def test_pre_training_on_captions_of_mmf_has_nothing_to_predict(mmf_world, toy_project, tmp_path):
    trained("masked_coco", "visualbert", mmf_world, tmp_path, predict=False)
    best = torch.load(tmp_path / "save" / "best.ckpt", weights_only=True)
    assert best["num_updates"] == 2 and 0 < float(best["best_metric_value"]) < 20, "the loss"
    with pytest.raises(InputError, match="there is nothing to predict with the heads visualbert_masked_lm"):
        trained("masked_coco", "visualbert", mmf_world, tmp_path)
