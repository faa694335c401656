"""Runs the phases of one of the paper's variants and prints its row beside the paper's.

visualbert reproduce --task nlvr2 --variant full --scale sample
visualbert reproduce --list

A run that was cut off goes on where it was: give the same command again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mmf_visualbert.places import project_configs

if TYPE_CHECKING:
    from mmf_visualbert.reproduce.plan import Plan
    from mmf_visualbert.reproduce.run import Prepared


class ListVariants(argparse.Action):
    """`--list`: shows the variants of each task, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Exit with code 0."""
        from mmf_visualbert.reproduce.plan import variants

        for task, names in variants().items():
            print(f"{task}: {', '.join(names)}")
        parser.exit()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The row, and how it is run."""
    parser.set_defaults(run=run, stopped="stopped; the same command goes on here")
    parser.add_argument("--task", required=True, help="vqa2, nlvr2, flickr30k, vcr, or one of your own")
    parser.add_argument("--variant", default="full", help="a row of the paper, see --list (%(default)s)")
    parser.add_argument("--list", action=ListVariants, nargs=0, help="show all tasks and variants, run nothing")
    parser.add_argument("--scale", default="sample", help="sample or paper (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder of the runs (default: save/reproduce/TASK/VARIANT-SCALE-SEED)")
    parser.add_argument("--plan", action="store_true", help="print commands, time and disk, run nothing")
    parser.add_argument("--tflops", type=float, default=60.0, help="what your device sustains in training, for --plan")
    parser.add_argument("overrides", nargs="*", help="more of MMF's key=value, for all phases")


def run(options: argparse.Namespace) -> None:
    """Runs what is not finished yet, prints the row."""
    from mmf_visualbert.files import write_json
    from mmf_visualbert.reproduce.merge import joint_metrics, merge_phases
    from mmf_visualbert.reproduce.plan import make_plan
    from mmf_visualbert.reproduce.results import table
    from mmf_visualbert.reproduce.run import prepare, run_all

    plan = make_plan(options.task, options.variant, options.scale)
    name = f"{options.variant}-{options.scale}-{options.seed}"
    folder = options.out or Path("save") / "reproduce" / options.task / name
    prepared = prepare(plan, project_configs(), folder, options.seed, options.overrides)
    if options.plan:
        print_plan(plan, prepared, options.tflops)
        return
    records = run_all(prepared)
    merged = merge_phases(plan.merge, prepared, folder / "leaderboard") if plan.merge else {}
    metrics = {name: value for record in records.values() for name, value in record["metrics"].items()}
    result = {"task": plan.task, "variant": plan.variant, "scale": plan.scale, "seed": options.seed, "phases": records}
    metrics |= joint_metrics(merged)
    files = {split: str(each.file) for split, each in merged.items()}
    write_json(folder / "result.json", {**result, "metrics": metrics, **({"leaderboard": files} if files else {})})
    print(table(plan, metrics))
    for file in files.values():
        print(f"leaderboard file: {file}")
    print(f"phases, metrics and arguments: {folder / 'result.json'}")


def print_plan(plan: "Plan", prepared: Sequence["Prepared"], tflops: float) -> None:
    """Prints each phase's command and, at the paper's scale, what it costs."""
    from mmf_visualbert.reproduce.estimate import estimate

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
