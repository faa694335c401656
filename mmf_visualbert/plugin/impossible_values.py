"""Values of MMF's own keys with which no run does what was asked for, refused when the configuration is whole.

With some of them MMF does nothing, and at others it stops with a traceback, at the first evaluation for instance.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from mmf_visualbert.catalog import PREFIX
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.parts_of_config import named_parts

STEPS = ("train", "val", "test", "inference", "predict")
MEASURED = STEPS[1:]
AT_LEAST = {
    "batch_size": 1,
    "log_interval": 1,
    "checkpoint_interval": 1,
    "evaluation_interval": 1,
    "update_frequency": 1,
    "num_workers": 0,
    "max_updates": 0,
    "max_epochs": 0,
}
ONE_OF = {
    "log_format": ("json", "simple"),
    "logger_level": ("critical", "debug", "error", "info", "warn", "warning"),
}
FOLDERS = ("save_dir", "log_dir", "report_dir", "tensorboard_logdir", "cache_dir")
# Kinds that MMF looks up by name when the run is under way.
KINDS = ("optimizer", "scheduler", "loss", "metric")
TOTAL = "total_loss"


def refuse_impossible_values(config: Mapping[str, Any], registry: Any) -> None:
    """Refuses a configuration with which MMF would do nothing, or stop later with a traceback.

    Args:
        config: of the whole run, plain and resolved.
        registry: MMF's.

    Raises:
        InputError: naming the key, its value and what is possible.
    """
    steps = steps_of(config["run_type"])
    check_prediction(config, steps)
    check_numbers(config["training"], "train" in steps)
    check_words(config["training"])
    check_folders(config["env"])
    check_names(config, registry)
    if "train" in steps and "val" in steps:
        check_criterion(config)
    if "train" not in steps:
        check_start(config)


def steps_of(run_type: Any) -> set[str]:
    """What a `run_type` asks for.

    Raises:
        InputError: for a word that MMF would pass over.
    """
    given = run_type if isinstance(run_type, list) else re.split(r"[^a-z]+", str(run_type))
    unknown = [word for word in given if word not in STEPS]
    if unknown or not given:
        raise InputError(
            f"run_type={run_type}: '{', '.join(map(str, unknown))}' is none of {', '.join(STEPS)}; name one of them, "
            "or several as in train_val"
        )
    return set(given)


def check_prediction(config: Mapping[str, Any], steps: set[str]) -> None:
    """Refuses a prediction of no split."""
    if config["evaluation"]["predict"] and not steps.intersection(MEASURED):
        raise InputError(
            f"there is no split to predict in run_type={config['run_type']}; give run_type=test or run_type=val"
        )


def check_numbers(training: Mapping[str, Any], trains: bool) -> None:
    """Refuses numbers that are too small, and a training without an end."""
    for key, least in AT_LEAST.items():
        value = training.get(key)
        if isinstance(value, int | float) and value < least:
            raise InputError(f"training.{key}={value}: at least {least} is wanted there; correct the value")
    if trains and training.get("max_updates") is None and training.get("max_epochs") is None:
        raise InputError(
            "training.max_updates and training.max_epochs are both null, so that the run has no end; give one of them"
        )


def check_words(training: Mapping[str, Any]) -> None:
    """Refuses a word that is none of those that MMF knows."""
    for key, known in ONE_OF.items():
        value = training.get(key)
        if value is not None and str(value).lower() not in known:
            raise InputError(f"training.{key}={value}: one of {', '.join(known)} is wanted there; correct the value")


def check_folders(env: Mapping[str, Any]) -> None:
    """Refuses a folder to write into whose way leads through a file."""
    for key in FOLDERS:
        folder = Path(env.get(key) or "")
        file = next((part for part in (folder, *folder.parents) if part.is_file()), None)
        if file is not None:
            raise InputError(f"env.{key}={env[key]}: {file} is a file; name a folder")


def check_names(config: Mapping[str, Any], registry: Any) -> None:
    """Refuses parts that neither we nor MMF have; those with our prefix are looked at elsewhere."""
    for part in named_parts(config):
        if part.kind not in KINDS or part.name.startswith(PREFIX):
            continue
        there = set(registry.mapping[f"{part.kind}_name_mapping"])
        if part.kind == "optimizer":
            there |= {name for name, each in vars(torch.optim).items() if isinstance(each, type)}
        if part.name not in there:
            near = difflib.get_close_matches(part.name, sorted(there), n=1)
            meant = f" (did you mean '{near[0]}'?)" if near else f"; there are {', '.join(sorted(there))}"
            raise InputError(f"{part.where}: there is no {part.kind} named '{part.name}'{meant}; correct the name")


def check_criterion(config: Mapping[str, Any]) -> None:
    """Refuses a criterion of the best checkpoint of a data set, loss or metric that the run has not.

    What an evaluation gives below a metric's name is known after the first one alone (`exact_resume`).
    """
    criterion = str(config["training"]["early_stop"]["criteria"])
    names = sorted(names_of_numbers(config))
    asked = criterion.removeprefix("val/")
    if not any(asked == name or asked.startswith(f"{name}/") for name in names):
        raise no_criterion(asked, names)


def no_criterion(name: str, given: Iterable[str]) -> InputError:
    """What is said of a criterion that an evaluation does not give; names are without MMF's `val/`."""
    return InputError(
        f"training.early_stop.criteria is '{name}', and an evaluation gives {', '.join(given)}; name one of these"
    )


def names_of_numbers(config: Mapping[str, Any]) -> Iterator[str]:
    """What an evaluation reports: losses and metrics by their data set, and the sum of the losses.

    A metric with several values has more names below its own.
    """
    yield TOTAL
    entries = [*config["model_config"][config["model"]]["losses"], *(config["evaluation"]["metrics"] or ())]
    for entry in entries:
        part = entry if isinstance(entry, Mapping) else {"type": entry}
        own = part.get("datasets") or ()
        for dataset in str(config["datasets"]).split(","):
            if not own or dataset.strip() in own:
                yield f"{dataset.strip()}/{part.get('key') or part['type']}"


def check_start(config: Mapping[str, Any]) -> None:
    """Refuses to measure or predict with weights that were never trained."""
    checkpoint = config["checkpoint"]
    given = [checkpoint[key] for key in ("resume", "resume_best", "resume_file", "resume_zoo")]
    if not any(given) and not config["model_config"][config["model"]].get("pretrained"):
        raise InputError(
            f"run_type={config['run_type']} trains nothing and no checkpoint is named, so that the model would answer "
            "at random; give one with checkpoint.resume_file=FILE checkpoint.reset.all=true"
        )
