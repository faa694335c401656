#!/usr/bin/env python
"""Runs the phases of one of the paper's variants and prints its row beside the paper's.

python tools/reproduce.py --task nlvr2 --variant full --scale sample
"""

import argparse
import sys
from pathlib import Path

from mmf_visualbert.errors import InputError
from mmf_visualbert.reproduce.estimate import estimate
from mmf_visualbert.reproduce.merge import joint_metrics, merge_phases
from mmf_visualbert.reproduce.plan import SCALES, Plan, make_plan, variants
from mmf_visualbert.reproduce.results import table, write_json
from mmf_visualbert.reproduce.run import Prepared, prepare, run_all

CONFIGS = Path(__file__).resolve().parents[1] / "projects" / "visualbert" / "configs"


def main() -> None:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, choices=list(variants()))
    parser.add_argument(
        "--variant", default="full", help="; ".join(f"{t}: {', '.join(v)}" for t, v in variants().items())
    )
    parser.add_argument("--scale", default="sample", choices=SCALES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder of the runs (default: save/reproduce/TASK/VARIANT-SCALE-SEED)")
    parser.add_argument("--plan", action="store_true", help="print commands, time and disk, run nothing")
    parser.add_argument("--tflops", type=float, default=60.0, help="what your device sustains in training, for --plan")
    parser.add_argument("overrides", nargs="*", help="more of MMF's key=value, for all phases")
    args = parser.parse_args()
    try:
        plan = make_plan(args.task, args.variant, args.scale)
        run = args.out or Path("save") / "reproduce" / args.task / f"{args.variant}-{args.scale}-{args.seed}"
        prepared = prepare(plan, CONFIGS, run, args.seed, args.overrides)
        if args.plan:
            print_plan(plan, prepared, args.tflops)
            return
        records = run_all(prepared)
        merged = merge_phases(plan.merge, prepared, run / "leaderboard") if plan.merge else {}
    except InputError as error:
        print(f"reproduce.py: error: {error}", file=sys.stderr)
        sys.exit(2)
    metrics = {name: value for record in records.values() for name, value in record["metrics"].items()}
    result = {"task": plan.task, "variant": plan.variant, "scale": plan.scale, "seed": args.seed, "phases": records}
    metrics |= joint_metrics(merged)
    files = {split: str(each.file) for split, each in merged.items()}
    write_json(run / "result.json", {**result, "metrics": metrics, **({"leaderboard": files} if files else {})})
    print(table(plan, metrics))
    for file in files.values():
        print(f"leaderboard file: {file}")
    print(f"phases, metrics and arguments: {run / 'result.json'}")


def print_plan(plan: Plan, prepared: list[Prepared], tflops: float) -> None:
    """Prints each phase's command and, at the paper's scale, what it costs."""
    hours = gigabytes = 0.0
    for step in prepared:
        print(f"mmf_run {' '.join(step.arguments)}")
        if plan.scale == "paper":
            cost = estimate(plan, step.phase, tflops)
            hours, gigabytes = hours + cost.hours, gigabytes + cost.gigabytes
            print(f"    {cost.updates:,} updates, about {cost.hours:.1f} h, checkpoints {cost.gigabytes:.1f} GB")
    if plan.scale == "paper":
        print(
            f"together about {hours:.1f} h on one device that sustains {tflops:g} TFLOP/s in training (--tflops), and "
            f"{gigabytes:.1f} GB of checkpoints; docs/features.md has the sizes of the features"
        )


if __name__ == "__main__":
    main()
