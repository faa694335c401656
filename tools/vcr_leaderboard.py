"""From two trained VCR models to the leaderboard's csv, and Q→AR where labels are known.

python tools/vcr_leaderboard.py predict --data-dir DATA --out OUT \\
    --answer projects/visualbert/configs/vcr/defaults.yaml save/vcr/defaults/best.ckpt \\
    --rationale projects/visualbert/configs/vcr/rationale.yaml save/vcr/rationale/best.ckpt [KEY=VALUE ...]
python tools/vcr_leaderboard.py merge ANSWERS.json RATIONALES.json OUT.csv --annotations vcr/test.jsonl

`predict` runs both models on val and test, the rationales on each of the four answers, and writes OUT/val.csv and
OUT/test.csv. KEY=VALUE goes to MMF. A fault is one sentence and exit code 2.
"""

import argparse
import sys
from pathlib import Path

from mmf_visualbert.errors import InputError
from mmf_visualbert.reproduce.merge import MergedFile, Model, merge, predict
from mmf_visualbert.tasks.vcr.task import MERGE

SPLITS = ("val", "test")


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    predicting = commands.add_parser("predict", help="run both models, and merge what they say")
    for name in ("--answer", "--rationale"):
        predicting.add_argument(name, nargs=2, required=True, metavar=("CONFIG", "CHECKPOINT"))
    predicting.add_argument("--data-dir", type=Path, required=True, help="MMF's env.data_dir, with vcr/ below it")
    predicting.add_argument("--out", type=Path, required=True, help="folder for predictions and csv files")
    predicting.add_argument("--splits", nargs="+", default=list(SPLITS), choices=SPLITS)
    predicting.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="more of MMF's, for all runs")
    merging = commands.add_parser("merge", help="merge two prediction files")
    merging.add_argument("answers", type=Path)
    merging.add_argument("rationales", type=Path)
    merging.add_argument("file", type=Path, help="the csv to write")
    merging.add_argument("--annotations", type=Path, required=True, help="the split's official JSON lines")
    return parser.parse_args(given)


def line(merged: MergedFile) -> str:
    """What is in a csv."""
    scores = "no labels"
    if merged.accuracy is not None:
        scores = "   ".join(
            f"{title} {100 * share:.2f}" for title, share in zip(("Q→A", "QA→R", "Q→AR"), merged.accuracy, strict=True)
        )
    return f"{merged.file}: {merged.entries} questions   {scores}"


def main(given: list[str] | None = None) -> int:
    """Runs one command; gives the exit code."""
    options = arguments(given)
    try:
        if options.command == "merge":
            print(line(merge(MERGE, options.answers, options.rationales, options.file, options.annotations)))
            return 0
        models = [
            Model("answer", *map(Path, options.answer)),
            Model("rationale", *map(Path, options.rationale), MERGE.overrides),
        ]
        overrides, lines = [f"env.data_dir={options.data_dir}", *options.overrides], []
        for split in options.splits:
            files = [predict(model, split, options.out, overrides) for model in models]
            annotations = options.data_dir / "vcr" / f"{split}.jsonl"
            lines.append(line(merge(MERGE, *files, options.out / f"{split}.csv", annotations)))
        print("\n".join(lines))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
