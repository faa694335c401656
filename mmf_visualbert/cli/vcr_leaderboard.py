"""From two trained VCR models to the leaderboard's csv, and Q→AR where labels are known.

visualbert vcr leaderboard predict --data-dir DATA --out OUT \\
    --answer projects/visualbert/configs/vcr/defaults.yaml save/vcr/defaults/best.ckpt \\
    --rationale projects/visualbert/configs/vcr/rationale.yaml save/vcr/rationale/best.ckpt [KEY=VALUE ...]
visualbert vcr leaderboard merge ANSWERS.json RATIONALES.json OUT.csv --annotations vcr/test.jsonl

`predict` runs both models on val and test, the rationales on each of the four answers, and writes OUT/val.csv and
OUT/test.csv. KEY=VALUE goes to MMF. A fault is one sentence and exit code 2.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmf_visualbert.reproduce.merge import MergedFile

SPLITS = ("val", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Both commands."""
    commands = parser.add_subparsers(required=True)
    predicting = commands.add_parser("predict", help="run both models, and merge what they say")
    predicting.set_defaults(run=run_predict)
    for name in ("--answer", "--rationale"):
        predicting.add_argument(name, nargs=2, required=True, metavar=("CONFIG", "CHECKPOINT"))
    predicting.add_argument("--data-dir", type=Path, required=True, help="MMF's env.data_dir, with vcr/ below it")
    predicting.add_argument("--out", type=Path, required=True, help="folder for predictions and csv files")
    predicting.add_argument("--splits", nargs="+", default=list(SPLITS), choices=SPLITS)
    predicting.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="more of MMF's, for all runs")
    merging = commands.add_parser("merge", help="merge two prediction files")
    merging.set_defaults(run=run_merge)
    merging.add_argument("answers", type=Path)
    merging.add_argument("rationales", type=Path)
    merging.add_argument("file", type=Path, help="the csv to write")
    merging.add_argument("--annotations", type=Path, required=True, help="the split's official JSON lines")


def run_merge(options: argparse.Namespace) -> None:
    """Merges two prediction files."""
    from mmf_visualbert.reproduce.merge import merge
    from mmf_visualbert.tasks.vcr.task import MERGE

    print(line(merge(MERGE, options.answers, options.rationales, options.file, options.annotations)))


def run_predict(options: argparse.Namespace) -> None:
    """Runs both models on each split, and merges."""
    from mmf_visualbert.reproduce.merge import Model, merge, predict
    from mmf_visualbert.tasks.vcr.task import MERGE

    models = [
        Model("answer", Path(options.answer[0]), Path(options.answer[1])),
        Model("rationale", Path(options.rationale[0]), Path(options.rationale[1]), MERGE.overrides),
    ]
    overrides, lines = [f"env.data_dir={options.data_dir}", *options.overrides], []
    for split in options.splits:
        answers, rationales = (predict(model, split, options.out, overrides) for model in models)
        annotations = options.data_dir / "vcr" / f"{split}.jsonl"
        lines.append(line(merge(MERGE, answers, rationales, options.out / f"{split}.csv", annotations)))
    print("\n".join(lines))


def line(merged: "MergedFile") -> str:
    """What is in a csv."""
    scores = "no labels"
    if merged.accuracy is not None:
        scores = "   ".join(
            f"{title} {100 * share:.2f}" for title, share in zip(("Q→A", "QA→R", "Q→AR"), merged.accuracy, strict=True)
        )
    return f"{merged.file}: {merged.entries} questions   {scores}"
