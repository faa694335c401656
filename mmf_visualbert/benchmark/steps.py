"""Steps of several contenders, one after the other in turn, each in its own process: `train` and `infer`."""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

import torch
import transformers
from omegaconf import DictConfig
from torch import Tensor

from mmf_visualbert.benchmark import vcr
from mmf_visualbert.benchmark.draw import draw, tokens
from mmf_visualbert.benchmark.ours import shipped, stated_size
from mmf_visualbert.benchmark.peak import matrix_peak, useful_operations
from mmf_visualbert.benchmark.workloads import WORKLOADS, Workload
from mmf_visualbert.errors import InputError
from mmf_visualbert.runs import plain


class Process:
    """A contender in its own process.

    Args:
        label: what the report calls it.
        command: starts it.
    """

    def __init__(self, label: str, command: list[str]) -> None:
        self.label = label
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Always there with PIPE, which their type cannot say.
        self.asks, self.replies = cast(TextIO, self.process.stdin), cast(TextIO, self.process.stdout)
        self.seconds: list[float] = []
        self.measured: dict[str, Any] = {}
        self.about: dict[str, Any] = {}

    def reply(self) -> dict[str, Any]:
        """The next line it says."""
        line = self.replies.readline()
        if not line:
            raise InputError(
                f"the contender {self.label} ended with code {self.process.wait()}; its error stands above"
            )
        return json.loads(line)

    def step(self, counts: bool) -> None:
        """One step; kept in the figures where it counts."""
        with contextlib.suppress(BrokenPipeError):  # of one that has ended: `reply` says so
            self.asks.write("step\n")
            self.asks.flush()
        self.measured = self.reply()
        if counts:
            self.seconds.append(self.measured["seconds"])

    def close(self) -> None:
        """Ends it."""
        with contextlib.suppress(BrokenPipeError):
            self.asks.close()
        self.process.wait()

    def figures(self, batch: int, real: int, needed: float, peaks: Mapping[str, float]) -> dict[str, Any]:
        """Median, spread, samples a second, tokens and the padding among them, memory, versions.

        Args:
            batch: texts.
            real: tokens that hold something.
            needed: operations that these need.
            peaks: operations a second that the machine's products make, by dtype.
        """
        middle, computed = statistics.median(self.seconds), self.measured["tokens"]
        return {
            "seconds": {"median": middle, "min": min(self.seconds), "max": max(self.seconds)},
            "samples_per_second": batch / middle,
            "useful_tokens_per_second": real / middle,
            "share_of_matrix_peak": needed / middle / peaks[self.label.rpartition("_")[2]],
            "tokens_computed": computed,
            "padding_share": round(1 - real / computed, 4),
            "peak_mib": self.measured["peak_mib"],
            "fixed_mib": self.about["fixed_mib"],
            "kept_for_backward_mib": self.measured["kept_mib"],
            "versions": self.about["versions"],
        }


class Work(NamedTuple):
    """What the contenders get.

    Attributes:
        sample: the batch.
        regions: of an image, at most.
        about: how it was drawn, for the report.
        size: of BERT, by the names of transformers.
        dimension: of a region's features.
    """

    sample: dict[str, Tensor]
    regions: int
    about: dict[str, Any]
    size: Mapping[str, int]
    dimension: int


def run(options: argparse.Namespace, mode: str) -> dict[str, Any]:
    """Runs ours in each dtype, beside the rivals in those that they can, and gives the report.

    Raises:
        InputError: for a rival that cannot do the workload, or a contender that fails.
    """
    workload = WORKLOADS[options.workload]
    lines = lines_of(options.dtype.split(","), rivals(options, workload))
    work = prepare(options, workload)
    if not options.rounds:
        return report(options, mode, work, [], {})
    peaks = {dtype: matrix_peak(dtype, options.device) for dtype in dict.fromkeys(dtype for _, dtype in lines)}
    return report(options, mode, work, take_turns(options, mode, lines, work.sample), peaks)


def lines_of(dtypes: Sequence[str], rivals: Sequence[str]) -> list[tuple[str, str]]:
    """Who runs in which dtype: (name, dtype); a rival in fp32 where it can none that was asked for."""
    able = {"hf": ("fp32", "bf16"), "mmf": ("fp32",)}
    lines = [("ours", dtype) for dtype in dtypes]
    for rival in rivals:
        lines += [(rival, dtype) for dtype in [each for each in dtypes if each in able[rival]] or ["fp32"]]
    return lines


def rivals(options: argparse.Namespace, workload: Workload) -> list[str]:
    """The rivals that were asked for; transformers' heads where nothing was, and they can."""
    if options.against is None:
        return [rival for rival in ("hf",) if rival in workload.rivals]
    asked = [rival for rival in options.against.split(",") if rival]
    for rival in asked:
        if rival not in workload.rivals:
            able = ", ".join(workload.rivals) or "nobody"
            raise InputError(f"--against {rival}: {able} can do {options.workload} too; leave the others out")
    return asked


def prepare(options: argparse.Namespace, workload: Workload) -> Work:
    """Draws the batch, as large as the shipped yaml has it unless `options` say otherwise."""
    if options.annotations and workload.lengths is not None:
        raise InputError(f"--annotations give lengths of VCR's texts, not of {options.workload}; leave them out")
    if options.regions and workload.lengths is None:
        raise InputError("--regions is not for VCR, whose images have as many regions as objects; leave it out")
    config = shipped(options.workload, options.overrides)
    section = plain(config, f"dataset_config.{config.datasets}")
    dimension = config.model_config.visualbert.region_dimension
    size = bert_size(config)
    if workload.lengths is not None:
        regions = options.regions or section["max_regions"]
        sample = draw(options.workload, options.batch, regions, dimension, options.seed)
        return Work(sample, regions, {"text_lengths": workload.lengths.describe()}, size, dimension)
    questions = vcr.read_questions(options.workload, options.annotations, options.batch, options.seed)
    share = vcr.padding_share(options.workload, questions, options.batch, options.overrides)
    torch.manual_seed(options.seed)
    sample = vcr.draw_questions(questions.part(0, options.batch), tuple(section["image_size"]))
    about = {
        "lengths": questions.describe(),
        "questions": len(questions.regions),
        "padding_share_of_all_batches": round(share, 4),
    }
    return Work(sample, vcr.REGIONS, about, size, dimension)


def bert_size(config: DictConfig) -> dict[str, int]:
    """The size of a configuration's BERT, base where it does not say."""
    whole = transformers.BertConfig(**stated_size(config))
    return {key: getattr(whole, key) for key in ("hidden_size", "intermediate_size", "num_hidden_layers")}


def take_turns(
    options: argparse.Namespace, mode: str, lines: list[tuple[str, str]], sample: dict[str, Tensor]
) -> list[Process]:
    """Starts all contenders, (name, dtype), and lets each make a step in turn."""
    contenders: list[Process] = []
    with tempfile.TemporaryDirectory() as folder:
        batch_file = str(Path(folder) / "batch.pt")
        torch.save(sample, batch_file)
        try:
            for name, dtype in lines:
                python = options.mmf_python if name == "mmf" and options.mmf_python else sys.executable
                program = [python, "-m", "mmf_visualbert.benchmark.contender"]
                words = [name, options.workload, mode, dtype, options.device, batch_file, *options.overrides]
                contenders.append(Process(f"{name}_{dtype}", [*program, *words]))
            for contender in contenders:
                contender.about = contender.reply()
            for turn in range(options.warmup + options.rounds):
                for contender in contenders:
                    contender.step(counts=turn >= options.warmup)
        finally:
            for contender in contenders:
                contender.close()
    return contenders


def beyond_fixed(figures: dict[str, Any]) -> float:
    """What a step needs beside libraries, weights, gradients and Adam's state, in MiB."""
    return figures["peak_mib"] - figures["fixed_mib"]


def report(
    options: argparse.Namespace, mode: str, work: Work, contenders: list[Process], peaks: Mapping[str, float]
) -> dict[str, Any]:
    """The figures, and the ratios of ours to each rival."""
    real = tokens(work.sample)
    needed = useful_operations(work.sample, work.size, work.dimension, training=mode == "train")
    figures = {contender.label: contender.figures(options.batch, real, needed, peaks) for contender in contenders}
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
        "workload": options.workload,
        "config": f"projects/visualbert/configs/{WORKLOADS[options.workload].config}",
        "batch": options.batch,
        "regions": work.regions,
        **work.about,
        "tokens_real": real,
        "rounds": options.rounds,
        "device": options.device,
        "useful_operations": needed,
        "matrix_peak": dict(peaks),
        "contenders": figures,
        "ratios": ratios,
    }
