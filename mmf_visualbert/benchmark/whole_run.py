"""`mmf_run` itself, with the yaml that ships, on data of the paper's sizes: what a user waits for.

visualbert benchmark run --task vqa --against mmf --dtype fp32,bf16 --json benchmarks/run_vqa_cpu.json

The rival is MMF's own visual_bert, of the same size, in the same `mmf_run` and on the same data, which our dataset
reads for it: faster than MMF's own, so that what differs is the model.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from mmf_visualbert.benchmark.made import WORLDS, length_of_text, words, write_store, write_vocabulary
from mmf_visualbert.benchmark.workloads import ANSWERS, VOCABULARY, WORKLOADS
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json
from mmf_visualbert.places import project_configs
from mmf_visualbert.plugin.rival_config import mmf_config
from mmf_visualbert.runs import plain, read_config

IMAGES = 64
HEADS = {"vqa": "classification", "pretrain": "pretraining", "nlvr2": "classification"}
LABELS = {"vqa": ANSWERS, "pretrain": 2, "nlvr2": 2}
# Our metrics read what our heads give, and MMF would train for the yaml's epochs.
RIVAL = {
    "model": "visual_bert",
    "evaluation": {"metrics": []},
    "training": {"max_epochs": None, "early_stop": {"criteria": "total_loss", "minimize": True}},
}
SPLITS = ("train", "val", "test")
TIMER = "VISUALBERT_TIMER"  # as plugin/timer.py reads it, which only a process with MMF can import


class Contender(NamedTuple):
    """A command that trains.

    Attributes:
        label: what the report calls it.
        arguments: of `mmf_run`.
        program: `mmf_run` itself.
    """

    label: str
    arguments: list[str]
    program: str


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Runs every contender as often as asked, in turn, and gives the report.

    Raises:
        InputError: for a workload without data of its own, or a run that fails.
    """
    if options.workload not in WORLDS:
        raise InputError(f"--workload {options.workload} has no data made for it; take one of {', '.join(WORLDS)}")
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        contenders = prepare(options, Path(folder))
        for number in range(options.rounds):
            for contender in contenders:
                timed = measure(contender, Path(folder) / f"{contender.label}_{number}", options.updates)
                found.setdefault(contender.label, []).append(timed)
    figures = {label: summary(runs, options.batch) for label, runs in found.items()}
    return {
        "benchmark": "run",
        "workload": options.workload,
        "batch": options.batch,
        "updates": options.updates,
        "rounds": options.rounds,
        "contenders": figures,
        "ratios": ratios(figures),
    }


def ratios(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Ours against each rival: of an update, of the process's peak memory, of the time to the first update."""
    found = {}
    for ours in (label for label in figures if label.startswith("ours")):
        for rival in (label for label in figures if not label.startswith("ours")):
            one, other = figures[ours], figures[rival]
            found[f"{ours}/{rival}"] = {
                "time": one["seconds"]["median"] / other["seconds"]["median"],
                "cpu": one["cpu_seconds"] / other["cpu_seconds"],
                "memory": one["peak_mib"] / other["peak_mib"],
                "first_update": one["first_update"] / other["first_update"],
            }
    return found


def prepare(options: argparse.Namespace, folder: Path) -> list[Contender]:
    """Makes the data, and the commands that train on them."""
    workload, draw = WORKLOADS[options.workload], random.Random(options.seed)
    config_file = project_configs() / workload.config
    of_model = [word for word in options.overrides if word.startswith("model_config.")]
    config = read_config(config_file, of_model)
    dataset = str(config.datasets)
    section = plain(config, f"dataset_config.{dataset}")
    made = words(draw)
    world = WORLDS[options.workload](folder, IMAGES, length_of_text(options.workload, draw), made, draw)
    write_store(
        folder / "train.lmdb", world.images, section["max_regions"], config.model_config.visualbert.region_dimension
    )
    files = {
        "annotations": {split: world.annotations for split in SPLITS},
        "features": {split: ["train.lmdb"] for split in SPLITS},
    }
    vocabulary = write_vocabulary(folder / "vocab.txt", made)
    own = {
        "model_config": {"visualbert": {"bert": None, "tokenizer": str(vocabulary)}},
        "dataset_config": {dataset: {**files, **world.section}},
    }
    arguments = [
        f"env.data_dir={folder}",
        f"training.batch_size={options.batch}",
        f"training.max_updates={options.updates + 1}",
        "run_type=train",
        *(word for word in options.overrides if word not in of_model),
    ]
    program = mmf_run(sys.executable)
    ours = f"config={write_config(folder / 'run.yaml', config_file, own)}"
    contenders = [
        Contender(f"ours_{dtype}", [ours, *arguments, f"model_config.visualbert.precision={dtype}", *of_model], program)
        for dtype in options.dtype.split(",")
    ]
    if "mmf" in rivals(options):
        own["model_config"]["visual_bert"] = rival_settings(options.workload, config)
        theirs = f"config={write_config(folder / 'mmf.yaml', config_file, {**own, **RIVAL})}"
        contenders.append(Contender("mmf_fp32", [theirs, *arguments], mmf_run(options.mmf_python or sys.executable)))
    return contenders


def mmf_run(python: str) -> str:
    """The program of the environment that a Python belongs to."""
    return str(Path(python).with_name("mmf_run"))


def rivals(options: argparse.Namespace) -> list[str]:
    """The rivals that were asked for.

    Raises:
        InputError: for one that has no run of its own.
    """
    asked = [rival for rival in (options.against or "").split(",") if rival]
    for rival in asked:
        if rival != "mmf":
            raise InputError(
                f"--against {rival}: mmf alone has a run of its own; visualbert benchmark train measures a step of hf"
            )
    return asked


def rival_settings(workload: str, config: DictConfig) -> dict[str, Any]:
    """`model_config.visual_bert` of the size of ours, for the workload's head and loss."""
    size = {name: value for name, value in plain(config, "model_config.visualbert.size").items() if value is not None}
    size.pop("initializer_range", None)
    settings = mmf_config(HEADS[workload], LABELS[workload], config.model_config.visualbert.region_dimension)
    losses = {"vqa": [{"type": "logit_bce"}], "nlvr2": [{"type": "cross_entropy"}], "pretrain": []}
    return {**settings, **size, "vocab_size": VOCABULARY, "losses": losses[workload]}


def write_config(path: Path, shipped: Path, own: Mapping[str, Any]) -> Path:
    """The yaml that ships, with the made data in place of the official."""
    OmegaConf.save(OmegaConf.create({"includes": [str(shipped)], **own}), path)
    return path


def measure(contender: Contender, folder: Path, updates: int) -> dict[str, Any]:
    """One run, in a process of its own, as a user starts it."""
    timer = folder.with_suffix(".json")
    command = [
        contender.program,
        *contender.arguments,
        f"env.save_dir={folder}",
    ]
    environment = {**os.environ, TIMER: str(timer)}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1:]
        raise InputError(f"the run {contender.label} ended with code {ended.returncode}: {' '.join(said)}")
    timed = read_json(timer)
    if len(timed["updates"]) != updates:
        raise InputError(f"the run {contender.label} made {len(timed['updates']) + 1} updates of {updates + 1}")
    return timed


def summary(runs: list[dict[str, Any]], batch: int) -> dict[str, Any]:
    """Medians over all updates but each run's first."""
    updates = [update for run in runs for update in run["updates"]]
    wall = [update["wall"] for update in updates]
    middle = statistics.median(wall)
    whole = sum(wall)
    shares = {part: sum(update[part] for update in updates) / whole for part in ("data", "model", "loop")}
    return {
        "seconds": {"median": middle, "min": min(wall), "max": max(wall)},
        "cpu_seconds": statistics.median(update["cpu"] for update in updates),
        "first_update": statistics.median(run["first_update"] for run in runs),
        "samples_per_second": batch / middle,
        "shares": shares,
        "peak_mib": max(run["peak_mib"] for run in runs),
        "versions": {"torch": runs[0]["torch"]},
        "threads": runs[0]["threads"],
    }
