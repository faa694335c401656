"""`mmf_run` itself, with the yaml that ships, on data of the paper's sizes: what a user waits for.

visualbert benchmark run --task vqa --against mmf,hf --dtype fp32,bf16 --json F

The rivals read the same data through our dataset, which is faster than their own, so that what differs is the model:
MMF's visual_bert of the same size in the same `mmf_run`, transformers' heads in a loop as their users write it.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf

from mmf_visualbert.benchmark.made import WORLDS, length_of_text, words, write_store, write_vocabulary
from mmf_visualbert.benchmark.ours import stated_size
from mmf_visualbert.benchmark.workloads import LABELS, VOCABULARY, WORKLOADS
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json
from mmf_visualbert.launching import torchrun_here
from mmf_visualbert.places import project_configs
from mmf_visualbert.plugin.rival_config import mmf_config
from mmf_visualbert.plugin.timer import VARIABLE
from mmf_visualbert.runs import plain, read_config

HEADS = {"vqa": "classification", "pretrain": "pretraining", "nlvr2": "classification"}
# Our metrics read what our heads give, and MMF would train for the yaml's epochs.
RIVAL: dict[str, Any] = {
    "model": "visual_bert",
    "evaluation": {"metrics": []},
    "training": {"max_epochs": None, "early_stop": {"criteria": "total_loss", "minimize": True}},
}
SPLITS = ("train", "val", "test")
MODES_OF_MMF: dict[str, dict[str, Any]] = {"fp32": {}, "fp16": {"fp16": True}}  # of `training`
# Updates that fp16's scaling of losses may pass over at the start, until its scale fits.
SCALED = 5
SAID = 40  # lines; torchrun says much after the error


class Contender(NamedTuple):
    """A command that trains.

    Attributes:
        label: what the report calls it.
        arguments: as of `mmf_run`.
        program: `mmf_run` itself, or the loop of who has none.
    """

    label: str
    arguments: list[str]
    program: list[str]


def run(options: argparse.Namespace, keep: Callable[[dict[str, Any]], None] = lambda found: None) -> dict[str, Any]:
    """Runs every contender as often as asked, in turn, and gives the report.

    Args:
        options: of the command.
        keep: gets the report of what is there after each run, so that one that fails loses nothing of the others.

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
                keep(report(options, found))
    return report(options, found)


def report(options: argparse.Namespace, found: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The figures of the runs that were made, by contender."""
    figures = {label: summary(runs, options.batch) for label, runs in found.items()}
    return {
        "benchmark": "run",
        "workload": options.workload,
        "batch": options.batch,
        "images": options.images,
        "regions": options.regions,
        "updates": options.updates,
        "rounds": min(len(runs) for runs in found.values()),
        "contenders": figures,
        "ratios": ratios(figures),
    }


def ratios(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Ours against each rival, and on several processes against one.

    Of an update's time, of its CPU time in one process, of that process's peak memory, of the time to the first update.
    """
    own = [label for label in figures if label.startswith("ours")]
    pairs = [(ours, rival) for ours in own for rival in figures if rival not in own]
    pairs += [(more, one) for one in own for more in own if more.startswith(f"{one}_")]
    return {f"{ours}/{rival}": ratio(figures[ours], figures[rival]) for ours, rival in pairs}


def ratio(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, float]:
    """One's figures against another's."""
    return {
        "time": one["seconds"]["median"] / other["seconds"]["median"],
        "cpu": one["cpu_seconds"] / other["cpu_seconds"],
        "memory": one["peak_mib"] / other["peak_mib"],
        "first_update": one["first_update"] / other["first_update"],
    }


def prepare(options: argparse.Namespace, folder: Path) -> list[Contender]:
    """Makes the data, and the commands that train on them."""
    config_file = project_configs() / WORKLOADS[options.workload].config
    of_model = [word for word in options.overrides if word.startswith("model_config.")]
    config = read_config(config_file, of_model)
    own = write_data(options, config, folder)
    arguments = [
        f"env.data_dir={folder}",
        f"training.batch_size={options.batch}",
        f"training.max_updates={options.updates + 1}",
        "run_type=train",
        *(word for word in options.overrides if word not in of_model),
    ]
    ours = [f"config={write_config(folder / 'run.yaml', config_file, own)}", *arguments]
    dtypes, program = options.dtype.split(","), mmf_run(sys.executable)
    contenders = [
        Contender(
            f"ours_{dtype}" + (f"_{processes}_processes" if processes > 1 else ""),
            [*ours, f"model_config.visualbert.precision={dtype}", *of_model],
            [*(torchrun_here(processes) if processes > 1 else ()), *program],
        )
        for dtype in dtypes
        for processes in map(int, options.processes.split(","))
    ]
    if "mmf" in rivals(options):
        own["model_config"]["visual_bert"] = rival_settings(options.workload, config)
        for mode in modes_of_mmf(dtypes, torch.cuda.is_available()):
            settings = {**own, **RIVAL, "training": {**RIVAL["training"], **MODES_OF_MMF[mode]}}
            config_of_mmf = f"config={write_config(folder / f'mmf_{mode}.yaml', config_file, settings)}"
            program_of_mmf = mmf_run(options.mmf_python or sys.executable)
            contenders.append(Contender(f"mmf_{mode}", [config_of_mmf, *arguments], program_of_mmf))
    if "hf" in rivals(options):
        loop = [sys.executable, "-m", "mmf_visualbert.benchmark.transformers_run", options.workload]
        of_mmf = ("training.max_updates=", "run_type=")  # keys that no yaml of ours has
        theirs = [word for word in (*ours, *of_model) if not word.startswith(of_mmf)]
        contenders += [Contender(f"hf_{dtype}", theirs, [*loop, dtype, str(options.updates + 1)]) for dtype in dtypes]
    return contenders


def modes_of_mmf(dtypes: Sequence[str], on_gpu: bool) -> list[str]:
    """In what MMF's own model runs: fp32, and on a GPU fp16 where less than fp32 is asked for."""
    fp16 = on_gpu and "bf16" in dtypes
    return [*(["fp32"] if "fp32" in dtypes or not fp16 else []), *(["fp16"] if fp16 else [])]


def write_data(options: argparse.Namespace, config: DictConfig, folder: Path) -> dict[str, Any]:
    """Makes a workload's data; gives what a configuration has to say so that they are read."""
    draw, make = random.Random(options.seed), WORLDS[options.workload]
    dataset = str(config.datasets)
    made = words(draw)
    lengths = length_of_text(options.workload, draw)
    world = make(folder, options.images, lengths, made, draw)
    regions = options.regions or plain(config, f"dataset_config.{dataset}")["max_regions"]
    write_store(folder / "train.lmdb", world.images, regions, config.model_config.visualbert.region_dimension)
    # MMF evaluates at the end of a run even where nobody asks for it: on little.
    (folder / "val").mkdir()
    evaluated = [f"val/{name}" for name in make(folder / "val", 2, lengths, made, draw).annotations]
    files = {
        "annotations": {"train": world.annotations, "val": evaluated, "test": evaluated},
        "features": {split: ["train.lmdb"] for split in SPLITS},
    }
    vocabulary = write_vocabulary(folder / "vocab.txt", made)
    return {
        "model_config": {"visualbert": {"bert": None, "tokenizer": str(vocabulary)}},
        "dataset_config": {dataset: {**files, **world.section}},
    }


def mmf_run(python: str) -> list[str]:
    """The program of the environment that a Python belongs to."""
    return [str(Path(python).with_name("mmf_run"))]


def rivals(options: argparse.Namespace) -> list[str]:
    """The rivals that were asked for.

    Raises:
        InputError: for one that cannot do the workload.
    """
    asked = [rival for rival in (options.against or "").split(",") if rival]
    able = WORKLOADS[options.workload].rivals
    for rival in asked:
        if rival not in able:
            raise InputError(f"--against {rival}: {', '.join(able)} can do {options.workload} too; name these")
    return asked


def rival_settings(workload: str, config: DictConfig) -> dict[str, Any]:
    """`model_config.visual_bert` of the size of ours, for the workload's head and loss."""
    size = stated_size(config)
    size.pop("initializer_range", None)
    settings = mmf_config(HEADS[workload], LABELS[workload], config.model_config.visualbert.region_dimension)
    losses = {"vqa": [{"type": "logit_bce"}], "nlvr2": [{"type": "cross_entropy"}], "pretrain": []}
    return {**settings, **size, "vocab_size": VOCABULARY, "losses": losses[workload]}


def write_run(options: argparse.Namespace, folder: Path) -> Path:
    """Makes a workload's data, and the yaml that ships with them in place of the official."""
    shipped = project_configs() / WORKLOADS[options.workload].config
    own = write_data(options, read_config(shipped), folder)
    return write_config(folder / "run.yaml", shipped, {**own, "env": {"data_dir": str(folder)}})


def write_config(path: Path, shipped: Path, own: Mapping[str, Any]) -> Path:
    """The yaml that ships, with the made data in place of the official."""
    OmegaConf.save(OmegaConf.create({"includes": [str(shipped)], **own}), path)
    return path


def measure(contender: Contender, folder: Path, updates: int) -> dict[str, Any]:
    """One run, as a user starts it."""
    timer = folder.with_suffix(".json")
    command = [
        *contender.program,
        *contender.arguments,
        f"env.save_dir={folder}",
    ]
    environment = {**os.environ, VARIABLE: str(timer)}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if ended.returncode:
        print("\n".join((ended.stderr.strip() or ended.stdout.strip()).splitlines()[-SAID:]), file=sys.stderr)
        raise InputError(
            f"the run {contender.label} ended with code {ended.returncode}; what it said last stands above"
        )
    timed = read_json(timer)
    passed_over = SCALED if contender.label.endswith("fp16") else 0
    if not updates - passed_over <= len(timed["updates"]) <= updates:
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
