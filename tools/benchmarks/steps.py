"""Steps of several contenders, one after the other in turn, each in its own process: `train` and `infer`."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from workload import LENGTHS, draw, tokens

from mmf_visualbert.errors import InputError

HERE = Path(__file__).resolve().parent


class Process:
    """A contender in its own process.

    Args:
        label: what the report calls it.
        command: starts it.
    """

    def __init__(self, label: str, command: list[str]) -> None:
        self.label = label
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seconds: list[float] = []
        self.peak_mib = 0.0
        self.about = self.reply()

    def reply(self) -> dict[str, Any]:
        """The next line it says."""
        line = self.process.stdout.readline()
        if not line:
            raise InputError(
                f"the contender {self.label} ended with code {self.process.wait()}; its error stands above"
            )
        return json.loads(line)

    def step(self, counts: bool) -> None:
        """One step; kept in the figures where it counts."""
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        reply = self.reply()
        self.peak_mib = reply["peak_mib"]
        if counts:
            self.seconds.append(reply["seconds"])

    def close(self) -> None:
        """Ends it."""
        self.process.stdin.close()
        self.process.wait()

    def figures(self, batch: int) -> dict[str, Any]:
        """Median, spread, samples a second, tokens, memory, versions."""
        middle = statistics.median(self.seconds)
        return {
            "seconds": {"median": middle, "min": min(self.seconds), "max": max(self.seconds)},
            "samples_per_second": batch / middle,
            "tokens_computed": self.about["tokens"],
            "peak_mib": self.peak_mib,
            "fixed_mib": self.about["fixed_mib"],
            "versions": {key: value for key, value in self.about.items() if key in ("torch", "transformers")},
        }


def run(args: argparse.Namespace, mode: str) -> dict[str, Any]:
    """Runs ours in each dtype beside the rivals in fp32 and gives the report."""
    sample = draw(args.workload, args.batch, args.regions, args.seed)
    lines = [("ours", dtype) for dtype in args.dtype.split(",")]
    lines += [(rival, "fp32") for rival in args.against.split(",") if rival]
    with tempfile.TemporaryDirectory() as folder:
        batch_file = str(Path(folder) / "batch.pt")
        torch.save(sample, batch_file)
        contenders = []
        try:
            for name, dtype in lines:
                python = args.mmf_python if name == "mmf" and args.mmf_python else sys.executable
                command = [
                    python,
                    str(HERE / "contender.py"),
                    name,
                    args.workload,
                    mode,
                    dtype,
                    args.device,
                    batch_file,
                ]
                contenders.append(Process(f"{name}_{dtype}", command))
            for turn in range(args.warmup + args.rounds):
                for contender in contenders:
                    contender.step(counts=turn >= args.warmup)
        finally:
            for contender in contenders:
                contender.close()
    return report(args, mode, sample, contenders)


def beyond_fixed(figures: dict[str, Any]) -> float:
    """What a step needs beside libraries, weights, gradients and Adam's state, in MiB."""
    return figures["peak_mib"] - figures["fixed_mib"]


def report(args: argparse.Namespace, mode: str, sample: dict, contenders: list[Process]) -> dict[str, Any]:
    """The figures, and the ratios of ours to each rival."""
    figures = {contender.label: contender.figures(args.batch) for contender in contenders}
    ratios = {}
    for ours in (label for label in figures if label.startswith("ours")):
        for rival in (label for label in figures if not label.startswith("ours")):
            ratios[f"{ours}/{rival}"] = {
                "time": figures[ours]["seconds"]["median"] / figures[rival]["seconds"]["median"],
                "memory": figures[ours]["peak_mib"] / figures[rival]["peak_mib"],
                "memory_beyond_fixed": beyond_fixed(figures[ours]) / beyond_fixed(figures[rival]),
            }
    return {
        "benchmark": mode,
        "workload": args.workload,
        "batch": args.batch,
        "regions": args.regions,
        "text_lengths": LENGTHS[args.workload].describe(),
        "tokens_real": tokens(sample),
        "rounds": args.rounds,
        "device": args.device,
        "contenders": figures,
        "ratios": ratios,
    }
