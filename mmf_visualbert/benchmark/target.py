"""How long a run takes to a fixed accuracy on the sample world, from the start of `mmf_run` to its evaluation.

visualbert benchmark target --accuracy 0.8 --change "what is new since the last record" --json benchmarks/target_1.json

`benchmarks/records.md` is drawn from these files. Target and sample world stay as they are: all else may change.
"""

import argparse
import contextlib
import datetime
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mmf_visualbert.benchmark.whole_run import mmf_run
from mmf_visualbert.errors import InputError
from mmf_visualbert.places import METRICS, project_configs
from mmf_visualbert.plugin.run_metrics import lines_of
from mmf_visualbert.runs import read_config
from mmf_visualbert.sampleworld.build import Arguments, build

CONFIG = "vqa2/sample.yaml"  # which learns its task without the phases before it
EVERY = 0.1  # seconds between two looks at what it has written


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Draws the world, trains until the target is reached, says how long that took.

    Raises:
        InputError: for a run that ends before.
    """
    config_file = project_configs() / CONFIG
    config = read_config(config_file)
    metric = f"val/{config.training.early_stop.criteria}"
    with tempfile.TemporaryDirectory() as folder:
        data, save = Path(folder, "data"), Path(folder, "save")
        build(data, Arguments(), lambda line: None)
        evaluated = f"training.evaluation_interval={options.interval}"
        words = [f"env.data_dir={data}", f"env.save_dir={save}", f"training.seed={options.seed}", evaluated]
        command = [*mmf_run(sys.executable), f"config={config_file}", *words, *options.overrides]
        reached = until(command, save / METRICS, metric, options.accuracy)
    return {
        "benchmark": "target",
        "date": datetime.date.today().isoformat(),
        "change": options.change,
        "metric": metric,
        "target": options.accuracy,
        **reached,
    }


def until(command: list[str], metrics: Path, metric: str, target: float) -> dict[str, Any]:
    """Starts a run and ends it at the first evaluation that reaches the target.

    Args:
        command: of the run.
        metrics: the file in which it writes its evaluations.
        metric: whose value counts, the higher the better.
        target: to reach.

    Returns:
        Seconds of the clock and of the CPU, the update, and the value reached.

    Raises:
        InputError: where the run ends first.
    """
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    best = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            while process.poll() is None:
                found = [row for _, row in lines_of(metrics) if metric in row]
                best = max([best, *(row[metric] for row in found)])
                reached = next((row for row in found if row[metric] >= target), None)
                if reached:
                    seconds = time.perf_counter() - begin
                    break
                time.sleep(EVERY)
            else:
                said = (process.stderr.read() if process.stderr else "").strip().splitlines()[-1:]
                raise InputError(
                    f"the run ended with code {process.returncode} before {metric} was {target} (best {best:.4f}); "
                    f"lower --accuracy, or see what it said: {' '.join(said)}"
                )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_seconds": cpu, "update": reached["update"], "value": reached[metric]}
