"""Speed and memory, each figure beside its rival in the same run.

visualbert benchmark train --against mmf,hf --mmf-python RIVAL/bin/python --json benchmarks/train_vqa_cpu.json
visualbert benchmark train --workload vcr_answer --annotations vcr/train.jsonl --rounds 2
visualbert benchmark run --task vqa --against mmf,hf --dtype fp32 --json benchmarks/run_vqa_cpu.json
visualbert benchmark target --accuracy 0.8 --change "what is new" --json benchmarks/target_1.json
visualbert benchmark opening --task vqa --images 130000 --json benchmarks/opening_vqa_cpu.json
visualbert benchmark samples --task pretrain --json benchmarks/samples_pretrain_cpu.json
visualbert benchmark keys --data data/sample --folder save/keys --json benchmarks/keys_cpu.json
visualbert benchmark features --json benchmarks/features_cpu.json
visualbert benchmark analysis --json benchmarks/analysis_cpu.json
visualbert benchmark precision --checkpoint save/vqa2/sample/best.ckpt --json benchmarks/precision_cpu.json
visualbert benchmark table README.md docs/speed.md docs/features.md benchmarks/records.md

`train` and `infer` build our model from the yaml that ships, with random weights. RIVAL is an environment in which
MMF's own visual_bert works (MMF main, transformers 4.41, numpy < 2) and this package can be imported. `run` starts
`mmf_run` with the same yaml, on data of the paper's sizes that it makes.
"""

import argparse
import importlib
import shlex
from pathlib import Path
from typing import Any

from mmf_visualbert.benchmark.workloads import WORKLOADS
from mmf_visualbert.errors import InputError

RIVAL = "RIVAL/bin/python"
MODULES = {"train": "steps", "infer": "steps", "run": "whole_run"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All benchmarks."""
    commands = parser.add_subparsers(dest="benchmark", required=True)
    _add_steps(commands.add_parser("train", help="a step of training: forward, loss, backward, clipping, optimizer"))
    _add_steps(commands.add_parser("infer", help="a step of inference"))
    _add_run(commands.add_parser("run", help="mmf_run itself, from its start to its updates"))
    _add_target(commands.add_parser("target", help="how long a run takes to an accuracy on the sample world"))
    _add_opening(commands.add_parser("opening", help="how long a training split takes to open, and its memory"))
    _add_keys(commands.add_parser("keys", help="accuracy with the fast paths and without them, on the sample world"))
    _add_features(commands.add_parser("features", help="reading region features, beside MMF's reader and numpy"))
    _add_extract(commands.add_parser("extract", help="images to a store, beside the bare detectron2 model"))
    _add_samples(commands.add_parser("samples", help="what a sample of training costs one core"))
    _add_analysis(commands.add_parser("analysis", help="all attention heads over many images, beside a forward pass"))
    _add_precision(commands.add_parser("precision", help="what bf16 and int8 cost a trained model"))
    for command in commands.choices.values():
        command.add_argument("--json", type=Path, help="also write the figures there")
    _add_table(commands.add_parser("table", help="draws the tables of pages from the measured figures"))
    parser.set_defaults(run=run)


def _add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workload", default="vqa", choices=list(WORKLOADS))
    parser.add_argument("--against", help="rivals, by comma: mmf, hf; default: hf where it can")
    parser.add_argument("--dtype", default="fp32", help="by comma: fp32, bf16; of a rival, where it can")
    parser.add_argument("--batch", type=int, default=8, help="texts; of VCR questions, of four sequences each")
    parser.add_argument("--regions", type=int, help="of an image; default: as the shipped yaml has it")
    parser.add_argument(
        "--annotations", nargs="+", type=Path, default=[], help="VCR's official JSON lines, for lengths"
    )
    parser.add_argument("--rounds", type=int, default=7, help="steps that count; 0: padding alone (VCR)")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="default: cuda where there is one")
    parser.add_argument("--mmf-python", help="Python of an environment in which MMF's own visual_bert works")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="over the yaml of our model")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workload", "--task", default="vqa", choices=["vqa", "pretrain", "nlvr2"])
    parser.add_argument("--against", help="by comma, on the same data: mmf (visual_bert), hf (its own loop)")
    parser.add_argument("--mmf-python", help="Python of another environment for it; default: this one")
    parser.add_argument("--dtype", default="fp32", help="by comma: fp32, bf16; of a rival, where it can")
    parser.add_argument("--batch", type=int, default=16, help="of all processes together")
    parser.add_argument("--processes", default="1", help="of ours, by comma; 1,2: one, and two that share a batch")
    parser.add_argument("--updates", type=int, default=5, help="that count, of each run")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each contender")
    parser.add_argument("--images", type=int, default=64, help="that the data have, with five texts each")
    parser.add_argument("--regions", type=int, help="of an image; default: as the shipped yaml has it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of mmf_run, the last word")


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accuracy", type=float, default=0.8, help="of VQA's val, as a fraction (%(default)s)")
    parser.add_argument("--change", default="", help="what is new since the last record, in words")
    parser.add_argument("--interval", type=int, default=50, help="updates between evaluations (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of mmf_run, the last word")


def _add_opening(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workload", "--task", default="vqa", choices=["vqa", "pretrain", "nlvr2"])
    parser.add_argument("--images", type=int, default=130_000, help="with five texts each (%(default)s)")
    parser.add_argument("--regions", type=int, default=1, help="of an image (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="over the yaml that ships")


def _add_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", default="1,2,3", help="by comma")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--data", type=Path, default=Path("data/sample"), help="the sample world (%(default)s)")
    parser.add_argument("--folder", type=Path, required=True, help="of the runs; those that are finished are read")


def _add_features(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=1500, help="records in each store")
    parser.add_argument("--regions", type=int, default=100)
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ids", type=int, default=1_000_000, help="records of the store with many ids")
    parser.add_argument("--folder", type=Path, help="where the stores are written; a temporary one if not given")


def _add_extract(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detector", default="detectron_r101_fpn", help="a preset, with random weights")
    parser.add_argument("--images", type=int, default=16, help="photographs of 640 x 480, made")
    parser.add_argument("--shortest", type=int, help="default: the preset's")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--device", help="default: cuda where there is one")


def _add_samples(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workload", "--task", default="pretrain", choices=["vqa", "pretrain", "nlvr2"])
    parser.add_argument("--images", type=int, default=1000, help="in the store; 0.4 MB each")
    parser.add_argument("--regions", type=int, help="of an image; default: as the shipped yaml has it")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="epochs that count (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of a second one, which takes turns")


def _add_analysis(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=1000, help="with a caption each")
    parser.add_argument("--regions", type=int, default=36, help="of an image")
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--layers", type=int, help="default: BERT-base's twelve")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5, help="in which both take turns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="default: cuda where there is one")


def _add_precision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, required=True, help="a .ckpt or .pth of a run that answers")
    parser.add_argument("--split", default="val", choices=["train", "val", "test"])
    parser.add_argument("--count", type=int, default=1000, help="examples, evenly over the split (%(default)s)")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="over the run's configuration")


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE", help="with <!-- table: name --> in it")
    parser.add_argument("--folder", type=Path, default=Path("benchmarks"), help="of the figures")


MAY_BE_ZERO = ("seed", "warmup", "workers")


def refuse_numbers(options: argparse.Namespace) -> None:
    """Raises InputError for a number of things, rounds, ... of which there have to be some, and that is below 1."""
    zero = (*MAY_BE_ZERO, "rounds") if options.benchmark in ("train", "infer") else MAY_BE_ZERO
    for name, value in vars(options).items():
        least = 0 if name in zero else 1
        if type(value) is int and value < least:
            raise InputError(f"--{name.replace('_', '-')} is {value}; set it to {least} or more")


def run(options: argparse.Namespace) -> None:
    """Measures, prints, writes.

    Raises:
        InputError: for numbers with which nothing can be measured.
    """
    refuse_numbers(options)
    if options.benchmark == "table":
        from mmf_visualbert.benchmark import table

        print(f"changed: {', '.join(table.run(options)['changed']) or 'nothing'}")
        return
    import torch

    from mmf_visualbert.benchmark import report
    from mmf_visualbert.files import write_json

    if "device" in options and options.device is None:
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    module = importlib.import_module(f"mmf_visualbert.benchmark.{MODULES.get(options.benchmark, options.benchmark)}")
    machine = report.machine()

    def keep(found: dict[str, Any]) -> None:
        if options.json:
            write_json(options.json, {"command": command_line(options), "machine": machine, **found})

    beside = {"train": ("train",), "infer": ("infer",), "run": (keep,)}.get(options.benchmark, ())
    found = module.run(options, *beside)
    print("\n".join(report.lines(found)))
    if options.json:
        keep(found)
        print(f"written to {options.json}")


def command_line(options: argparse.Namespace) -> str:
    """What was called, without the place of the rival's environment."""
    hidden = options.mmf_python if "mmf_python" in options else None
    return shlex.join(["visualbert", "benchmark", *(RIVAL if word == hidden else word for word in options.given)])
