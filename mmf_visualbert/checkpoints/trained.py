"""How a run trained a model, and what came of it: for the card of a model that is shared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mmf_visualbert.files import parse_json, read_lines
from mmf_visualbert.places import METRICS

# What the card calls a setting, and its key.
SETTINGS = {
    "seed": "training.seed",
    "batch size": "training.batch_size",
    "epochs": "training.max_epochs",
    "updates": "training.max_updates",
    "learning rate": "optimizer.params.lr",
    "precision": "model_config.visualbert.precision",
}


def training_of(path: Path, config: DictConfig, dataset: str | None) -> dict[str, Any]:
    """What a checkpoint of a run and the folder that it lies in say.

    Args:
        path: the checkpoint.
        config: of the run.
        dataset: the registered name of its data.

    Returns:
        `settings` by their names; `annotations`, the files it was trained on; `metrics` on val by the names that it
        logged them under, with their `update`, of the best evaluation. What nothing says is left out.
    """
    settings = {name: OmegaConf.select(config, key) for name, key in SETTINGS.items()}
    found: dict[str, Any] = {"settings": {name: value for name, value in settings.items() if value is not None}}
    files = None if dataset is None else OmegaConf.select(config, f"dataset_config.{dataset}.annotations.train")
    if files is not None:
        named = OmegaConf.to_container(files) if OmegaConf.is_config(files) else [files]
        found["annotations"] = [str(name) for name in named if name]  # type: ignore[union-attr]
    best = best_evaluation(path.parent / METRICS, config)
    if best:
        found["metrics"] = best
    return found


def best_evaluation(file: Path, config: DictConfig) -> dict[str, Any]:
    """The evaluation on val that is best by the run's criterion; empty where there is none."""
    if not file.is_file():
        return {}
    rows = [row for row in (parse_json(line, str(file)) for line in read_lines(file) if line.endswith("}"))]
    rows = [row for row in rows if isinstance(row, Mapping) and row.get("split") == "val"]
    criterion = f"val/{OmegaConf.select(config, 'training.early_stop.criteria') or 'total_loss'}"
    sign = 1 if OmegaConf.select(config, "training.early_stop.minimize") else -1
    judged = [row for row in rows if isinstance(row.get(criterion), int | float)]
    if not judged:
        return {}
    best = min(judged, key=lambda row: sign * row[criterion])
    return {"update": best.get("update"), **{k: v for k, v in best.items() if k.startswith("val/") and v is not None}}
