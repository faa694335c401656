"""How long a training split of any size takes to open, and what it costs in memory: to itself, and to each worker.

visualbert benchmark opening --task vqa --images 130000 --json benchmarks/opening_vqa_cpu.json

The split is opened as `mmf_run` opens it, in a process of its own, from official files that are made for it, over a
store of one region an image. A worker's memory is its proportional set size, in which what it shares counts in parts.
Pages of files are left out, of which more or fewer are mapped as the system likes, and batches on their way.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from mmf_visualbert import catalog
from mmf_visualbert.benchmark.whole_run import write_run
from mmf_visualbert.contracts import Dataset
from mmf_visualbert.errors import InputError
from mmf_visualbert.runs import plain, processors_of, read_config

WORKERS, BATCH, BATCHES = 4, 64, 100


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Makes the files, opens them in another process.

    Raises:
        InputError: where that fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = write_run(options, Path(folder))
        command = [sys.executable, "-m", __name__, str(path), *options.overrides]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"opening the split ended with code {done.returncode}: {done.stderr.strip()[-2000:]}")
    opened = json.loads(done.stdout.splitlines()[-1])
    about = {"workload": options.workload, "images": options.images, "overrides": list(options.overrides)}
    return {"benchmark": "opening", **about, **opened}


def opened(config_file: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Seconds and MiB of opening the training split of a configuration in this process, and of its workers."""
    config = read_config(config_file, overrides)
    name = str(config.datasets)
    section = plain(config, f"dataset_config.{name}")
    processors = processors_of(section)
    before, begin, cpu = memory("self"), time.perf_counter(), time.process_time()
    dataset: Dataset = catalog.get("dataset", name)(section, "train", processors)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    after = memory("self")
    return {
        "samples": len(dataset),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "mib": after["Anonymous"] - before["Anonymous"],
        "worker_mib": of_workers(dataset),
    }


def of_workers(dataset: Any) -> float:
    """MiB that a worker of several has for itself, on average, after it has read some thousand samples."""
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True)
    reading = iter(loader)
    for _ in islice(reading, BATCHES):
        pass
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return sum(memory(child)["Pss_Anon"] for child in children) / max(1, len(children))


def memory(process: str) -> dict[str, float]:
    """MiB of a process, by the kernel's kinds: Pss_Anon, Anonymous, ..."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(rest.split()[0]) / 1024 for name, _, rest in (line.partition(":") for line in lines)}


if __name__ == "__main__":
    print(json.dumps(opened(Path(sys.argv[1]), sys.argv[2:])))
