#!/usr/bin/env python
"""Speed and memory, each figure beside its rival in the same run.

python tools/benchmark.py train --against mmf,hf --json benchmarks/train.json
"""

import argparse
import importlib
import os
import platform
import sys
from pathlib import Path

import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.reproduce.results import write_json

HERE = Path(__file__).resolve().parent / "benchmarks"
sys.path.insert(0, str(HERE))


def main() -> None:
    """Parses, runs, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for mode in ("train", "infer"):
        add_steps_arguments(commands.add_parser(mode, help=f"one step of a BERT-base model: {mode}"))
    for name in (n for n in ("features", "extract", "samples") if (HERE / f"{n}.py").exists()):
        command = commands.add_parser(name)
        importlib.import_module(name).add_arguments(command)
        command.add_argument("--json", type=Path)
    args = parser.parse_args()
    try:
        if args.command in ("train", "infer"):
            found = importlib.import_module("steps").run(args, args.command)
        else:
            found = importlib.import_module(args.command).run(args)
    except InputError as error:
        print(f"benchmark.py: error: {error}", file=sys.stderr)
        sys.exit(2)
    command = ["RIVAL/bin/python" if word == getattr(args, "mmf_python", "") else word for word in sys.argv[1:]]
    found = {"command": " ".join(["python", "tools/benchmark.py", *command]), "machine": machine(), **found}
    print_report(found)
    if args.json:
        write_json(args.json, found)
        print(f"written to {args.json}")


def add_steps_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train` and `infer`."""
    parser.add_argument("--workload", default="vqa", choices=["vqa", "pretrain", "nlvr2"])
    parser.add_argument("--against", default="hf", help="rivals, by comma: mmf, hf")
    parser.add_argument("--dtype", default="fp32", help="of ours, by comma: fp32, bf16")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--regions", type=int, default=100, help="of an image")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--mmf-python", help="Python of an environment in which MMF's own visual_bert works (transformers < 5)"
    )
    parser.add_argument("--json", type=Path)


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "cpu": cpu.partition(":")[2].strip() or platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def print_report(found: dict) -> None:
    """The figures for people."""
    for label, figures in found.get("contenders", {}).items():
        seconds = figures["seconds"]
        print(
            f"{label:<12} {seconds['median']:.3f} s ({seconds['min']:.3f}-{seconds['max']:.3f})  "
            f"{figures['samples_per_second']:.2f} samples/s  {figures['tokens_computed']} tokens  "
            f"{figures['peak_mib']:.0f} MiB, {figures['fixed_mib']:.0f} of them fixed"
        )
    for pair, ratio in found.get("ratios", {}).items():
        memory = f"memory {ratio['memory']:.3f}, beyond what is fixed {ratio['memory_beyond_fixed']:.3f}"
        print(f"{pair:<24} time {ratio['time']:.3f}  {memory}")
    if "contenders" not in found:
        print(found)


if __name__ == "__main__":
    main()
