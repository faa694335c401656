"""What the keys that are on by default do to accuracy: the sample world's VQA with them and with their plain twins.

visualbert benchmark keys --seeds 1,2,3 --data data/sample --folder save/keys --json benchmarks/keys_cpu.json
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from mmf_visualbert.benchmark.target import CONFIG
from mmf_visualbert.benchmark.whole_run import mmf_run
from mmf_visualbert.errors import InputError
from mmf_visualbert.places import FINAL, METRICS, project_configs
from mmf_visualbert.plugin.run_metrics import lines_of
from mmf_visualbert.runs import read_config

PLAIN = {"attention": "sdpa", "fp32_products": "torch"}  # below model_config.visualbert


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Trains with each seed once as the yaml ships and once without its fast paths; what is finished is read.

    Raises:
        InputError: for a run that fails.
    """
    config_file = project_configs() / CONFIG
    metric = f"val/{read_config(config_file).training.early_stop.criteria}"
    seeds = [int(seed) for seed in options.seeds.split(",")]
    plain = [f"model_config.visualbert.{key}={value}" for key, value in PLAIN.items()]
    found: dict[str, dict[str, float]] = {"on": {}, "off": {}}
    for seed in seeds:
        for name, words in (("on", []), ("off", plain)):
            save = options.folder / f"{name}{seed}"
            of_run = [f"env.data_dir={options.data}", f"env.save_dir={save}", f"training.seed={seed}"]
            if not (save / FINAL).exists():
                _trained([f"config={config_file}", *of_run, f"training.max_epochs={options.epochs}", *words])
            found[name][str(seed)] = best_of(save / METRICS, metric)
    differences = [found["on"][str(seed)] - found["off"][str(seed)] for seed in seeds]
    return {
        "benchmark": "keys",
        "metric": metric,
        "epochs": options.epochs,
        "plain": PLAIN,
        **found,
        "difference": {"mean": statistics.mean(differences), "min": min(differences), "max": max(differences)},
    }


def best_of(metrics: Path, metric: str) -> float:
    """The value of the evaluation at the run's end, of its best model.

    Raises:
        InputError: where there is none.
    """
    values = [row[metric] for _, row in lines_of(metrics) if metric in row]
    if not values:
        raise InputError(f"{metrics} has no {metric}; delete the run's folder and measure it again")
    return float(values[-1])


def _trained(words: list[str]) -> None:
    done = subprocess.run([*mmf_run(sys.executable), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [""])[-1]
        raise InputError(f"mmf_run {' '.join(words)} ended with code {done.returncode}: {said}")
