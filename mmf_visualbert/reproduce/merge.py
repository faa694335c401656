"""Predictions of two models that answer a task together, merged: VCR's leaderboard files and Q→AR (§4.2)."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import OmegaConf

from mmf_visualbert import submissions
from mmf_visualbert.errors import InputError
from mmf_visualbert.reproduce.paper import JOINT
from mmf_visualbert.reproduce.plan import Merge
from mmf_visualbert.reproduce.run import Prepared
from mmf_visualbert.tasks.vcr.metrics import JointAccuracy
from mmf_visualbert.tasks.vcr.predictions import accuracy_of, merge_predictions


class Model(NamedTuple):
    """A trained model.

    Attributes:
        name: `answer` or `rationale`, for folders and messages.
        config: yaml that `mmf_predict` takes.
        checkpoint: the model's weights.
    """

    name: str
    config: Path
    checkpoint: Path


class Merged(NamedTuple):
    """A leaderboard file: where it is, its number of questions, and the accuracies where the split has labels."""

    file: Path
    entries: int
    accuracy: JointAccuracy | None


def merge(answers: Path, rationales: Path, file: Path, annotations: Path) -> Merged:
    """Writes the leaderboard's csv from two prediction files.

    Args:
        answers: of the Q→A model.
        rationales: of the QA→R model, conditioned on each of the four answers.
        file: the csv to write.
        annotations: the split's official JSON lines.

    Raises:
        InputError: where the files do not fit each other or the annotations.
    """
    entries = merge_predictions(answers, rationales)
    written = submissions.write("vcr", entries, file, annotations)
    return Merged(file, written.entries, accuracy_of(entries, annotations))


def predict(model: Model, split: str, out: Path, overrides: Sequence[str] = ()) -> Path:
    """Runs a model on a split with MMF, rationales on each of the four answers; gives the file of its predictions.

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
        *([f"dataset_config.visualbert_vcr.answer_label.{split}=all"] if model.name == "rationale" else []),
        *overrides,
    ]
    code = subprocess.run([str(Path(sys.executable).with_name("mmf_predict")), *arguments], check=False).returncode
    found = sorted(folder.glob("reports/**/*.json"))
    if code != 0 or not found:
        raise InputError(f"predicting {split} with the {model.name} model failed; mend what MMF says above, and repeat")
    return found[-1]


def merge_phases(merge_of: Merge, prepared: Sequence[Prepared], out: Path) -> dict[str, Merged]:
    """Predicts with the best checkpoints of a plan's two last phases, and merges: split -> leaderboard file.

    Args:
        merge_of: names the phases and splits.
        prepared: the plan's phases; their folders hold MMF's `config.yaml` of the run.
        out: folder for predictions and csv files.

    Raises:
        InputError: as `predict` and `merge`.
    """
    steps = {step.phase.name: step for step in prepared}
    chosen = (("answer", steps[merge_of.answers]), ("rationale", steps[merge_of.rationales]))
    models = [Model(name, step.config_file, step.folder / "best.ckpt") for name, step in chosen]
    overrides = [part for part in chosen[0][1].arguments[1:] if not part.startswith("checkpoint.resume")]
    config = OmegaConf.load(chosen[0][1].folder / "config.yaml")
    dataset = config.dataset_config.visualbert_vcr
    merged = {}
    for split in merge_of.splits:
        files = [predict(model, split, out, overrides) for model in models]
        (annotations,) = (Path(dataset.data_dir) / file for file in dataset.annotations[split])
        merged[split] = merge(*files, out / f"{split}.csv", annotations)
    return merged


def joint_metrics(merged: dict[str, Merged]) -> dict[str, float]:
    """What a merge adds to the metrics of a run: Q→AR, a fraction, on the first split that has labels."""
    known = [each.accuracy.both for each in merged.values() if each.accuracy is not None]
    return {JOINT: known[0]} if known else {}
