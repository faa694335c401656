"""What fewer bits cost a trained model: right answers, changed answers, time and size, of the same examples in each.

visualbert benchmark precision --checkpoint save/vqa2/sample/best.ckpt --json benchmarks/precision_cpu.json
"""

import argparse
import copy
import time
from typing import Any

from mmf_visualbert import catalog
from mmf_visualbert.analysis.explorer import spread
from mmf_visualbert.analysis.judged import Judged, judge, shares
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.int8 import Int8Linear, to_int8
from mmf_visualbert.modules.parts import ModelParts
from mmf_visualbert.runs import modules_of, read_dataset, read_model

WAYS = ("fp32", "bf16", "int8")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Asks the same examples in every precision.

    Raises:
        InputError: for a run whose examples cannot be asked one by one.
    """
    loaded = read_model(args.checkpoint, overrides=args.overrides)
    task = catalog.task_of_dataset(loaded.dataset)
    if task is None:
        raise InputError(f"{args.checkpoint} was trained on {loaded.dataset}, which is no task's; name another run")
    dataset = read_dataset(loaded, args.split)
    wanted = spread(args.count, len(dataset))
    found: dict[str, dict[str, Any]] = {}
    first: list[Judged] = []
    for way in WAYS:
        run_of = loaded._replace(parts=computing_in(loaded.parts, way))
        begin = time.perf_counter()
        judged, _ = judge(run_of, dataset, task, wanted)
        seconds = time.perf_counter() - begin
        if not judged:
            raise InputError(f"of no example of {args.split} is known what is right; name another split")
        first = first or judged
        found[way] = {**figures(judged, first), "seconds": seconds, "megabytes": megabytes(run_of.parts)}
    return {"checkpoint": str(args.checkpoint), "examples": len(wanted), "precisions": found}


def computing_in(parts: ModelParts, way: str) -> ModelParts:
    """A copy of the model that computes so."""
    if way == "bf16":
        return parts._replace(precision=way)
    copied = copy.deepcopy(parts.visual_bert) if way == "int8" else parts.visual_bert
    if way == "int8":
        to_int8(copied)
    return parts._replace(precision="fp32", visual_bert=copied)


def figures(judged: list[Judged], first: list[Judged]) -> dict[str, Any]:
    """Right answers of all, and how many are others than the first way's."""
    all_of = shares(judged)[0]
    changed = sum(one.said.answer != other.said.answer for one, other in zip(judged, first, strict=True))
    return {
        "answers": all_of.answers,
        "right": all_of.accuracy,
        "interval": [all_of.interval.low, all_of.interval.high],
        "changed": changed,
    }


def megabytes(parts: ModelParts) -> float:
    """What the weights take."""
    modules = list(modules_of(parts).modules())
    rounded = sum(one.in_features * one.out_features for one in modules if isinstance(one, Int8Linear))
    whole = sum(weight.numel() * weight.element_size() for weight in modules_of(parts).parameters())
    return (whole + rounded) / 1e6
