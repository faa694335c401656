"""Predictions of two models that answer a task together, merged, as VCR's leaderboard files and Q→AR (§4.2)."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmf_visualbert import catalog, submissions
from mmf_visualbert.contracts import Merge
from mmf_visualbert.errors import InputError
from mmf_visualbert.reproduce.run import Prepared
from mmf_visualbert.yaml_config import read_yaml


def no_overrides(split: str) -> list[str]:
    """For a model that predicts as it is configured."""
    return []


class Model(NamedTuple):
    """A trained model.

    Attributes:
        name: `answer` or `rationale`, for folders and messages.
        config: yaml that `mmf_predict` takes.
        checkpoint: the model's weights.
        overrides: what its predictions on a split need beside the config.
    """

    name: str
    config: Path
    checkpoint: Path
    overrides: Callable[[str], list[str]] = no_overrides


class MergedFile(NamedTuple):
    """A leaderboard file: where it is, its number of questions, and the metrics where the split has labels."""

    file: Path
    entries: int
    metrics: dict[str, float]

    @property
    def accuracy(self) -> tuple[float, ...] | None:
        """The metrics in the order of the task's columns; None where the split has no labels."""
        return tuple(self.metrics.values()) or None


def merge(merge_of: Merge, answers: Path, rationales: Path, file: Path, annotations: Path) -> MergedFile:
    """Writes the leaderboard's file from two prediction files.

    Args:
        merge_of: how the task merges them.
        answers: of the model of the answers.
        rationales: of the model of the rationales, conditioned on each answer.
        file: the file to write.
        annotations: the split's official annotations.

    Raises:
        InputError: where the files do not fit each other or the annotations.
    """
    merged = merge_of.merge(answers, rationales, annotations)
    written = submissions.write(merge_of.task, merged.entries, file, annotations)
    return MergedFile(file, written.entries, merged.metrics)


def predict(model: Model, split: str, out: Path, overrides: Sequence[str] = ()) -> Path:
    """Runs a model on a split with MMF; gives the file of its predictions.

    Args:
        model: the model.
        split: `val` or `test`.
        out: folder for the run.
        overrides: more of MMF's `key=value`.

    Raises:
        InputError: where the checkpoint is missing or MMF fails.
    """
    if not model.checkpoint.is_file():
        raise InputError(
            f"the checkpoint {model.checkpoint} of the {model.name} model is missing; train that model first"
        )
    folder = out / f"{model.name}_{split}"
    for old in folder.glob("reports/**/*.json"):
        old.unlink()
    arguments = [
        f"config={model.config}",
        f"run_type={split}",
        f"env.save_dir={folder}",
        f"env.report_dir={folder / 'reports'}",
        f"checkpoint.resume_file={model.checkpoint}",
        "checkpoint.reset.all=true",
        *model.overrides(split),
        *overrides,
    ]
    code = subprocess.run([str(Path(sys.executable).with_name("mmf_predict")), *arguments], check=False).returncode
    found = sorted(folder.glob("reports/**/*.json"))
    if code != 0 or not found:
        raise InputError(f"predicting {split} with the {model.name} model failed; mend what MMF says above, and repeat")
    return found[-1]


def merge_phases(merge_of: Merge, prepared: Sequence[Prepared], out: Path) -> dict[str, MergedFile]:
    """Predicts with the best checkpoints of a plan's two last phases, and merges: split -> leaderboard file.

    Args:
        merge_of: names the phases and splits.
        prepared: the plan's phases; their folders hold MMF's `config.yaml` of the run.
        out: folder for predictions and csv files.

    Raises:
        InputError: as `predict` and `merge`.
    """
    steps = {step.phase.name: step for step in prepared}
    first, second = steps[merge_of.answers], steps[merge_of.rationales]
    models = [
        Model("answer", first.config_file, first.folder / "best.ckpt"),
        Model("rationale", second.config_file, second.folder / "best.ckpt", merge_of.overrides),
    ]
    overrides = [part for part in first.arguments[1:] if not part.startswith("checkpoint.resume")]
    dataset = read_yaml(first.folder / "config.yaml").config.dataset_config[catalog.task(merge_of.task).dataset]
    merged = {}
    for split in merge_of.splits:
        answers, rationales = (predict(model, split, out, overrides) for model in models)
        (annotations,) = (Path(dataset.data_dir) / file for file in dataset.annotations[split])
        merged[split] = merge(merge_of, answers, rationales, out / f"{split}.csv", annotations)
    return merged


def joint_metrics(merged: Mapping[str, MergedFile]) -> dict[str, float]:
    """What a merge adds to the metrics of a run, fractions, on the first split that has labels (VCR's Q→AR)."""
    known = [each.metrics for each in merged.values() if each.metrics]
    return {name: value for name, value in known[0].items() if name not in catalog.names("metric")} if known else {}
