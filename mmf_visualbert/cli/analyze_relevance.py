"""`visualbert analyze relevance`: which of attention, rollout and relevance explains an answer?"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the examples, what is written."""
    parser.set_defaults(run=run)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a .ckpt or .pth of a run")
    parser.add_argument("--split", default="val", choices=["train", "val", "test"])
    parser.add_argument("--count", type=int, default=200, help="examples, evenly over the split (%(default)s)")
    parser.add_argument("--masked", action="store_true", help="of a phase of pre-training: the words that it hides")
    parser.add_argument("--seed", type=int, default=0, help="of what is taken away at random")
    parser.add_argument("--out", type=Path, help="csv with one line a curve and step")
    parser.add_argument("--figure", type=Path, help="the curves, written as .svg and .png")
    parser.add_argument("overrides", nargs="*", help="key=value over the run's config; as env.data_dir=data/sample")


def run(options: argparse.Namespace) -> None:
    """Takes away, prints areas."""
    from mmf_visualbert import catalog
    from mmf_visualbert.analysis.explorer import spread
    from mmf_visualbert.analysis.perturbation import STEPS, perturb, table
    from mmf_visualbert.errors import InputError
    from mmf_visualbert.runs import read_dataset, read_model

    loaded = read_model(options.checkpoint, overrides=options.overrides)
    task = catalog.task_of_dataset(loaded.dataset)
    if task is None:
        raise InputError(f"{options.checkpoint} was trained on {loaded.dataset}, which is no task's; name another run")
    dataset = read_dataset(loaded, options.split)
    result = perturb(loaded, dataset, task, spread(options.count, len(dataset)), options.seed, options.masked)
    print(table(result))
    if options.out is not None:
        result.write_csv(options.out)
        print(f"all curves: {options.out}")
    if options.figure is not None:
        from mmf_visualbert.analysis.figures import perturbation_figure, write_figure

        figure = perturbation_figure(result.accuracy, STEPS)
        print(f"figure: {', '.join(map(str, write_figure(figure, options.figure)))}")
