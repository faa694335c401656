"""From two trained VCR models to the leaderboard's csv, and Q→AR where labels are known.

python tools/vcr_leaderboard.py predict --data-dir DATA --out OUT \\
    --answer projects/visualbert/configs/vcr/defaults.yaml save/vcr/defaults/best.ckpt \\
    --rationale projects/visualbert/configs/vcr/rationale.yaml save/vcr/rationale/best.ckpt [KEY=VALUE ...]
python tools/vcr_leaderboard.py merge ANSWERS.json RATIONALES.json OUT.csv --annotations vcr/test.jsonl

`predict` runs both models on val and test, the rationales on each of the four answers, and writes OUT/val.csv and
OUT/test.csv. KEY=VALUE goes to MMF. A fault is one sentence and exit code 2.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mmf_visualbert import submissions
from mmf_visualbert.datasets.vcr_predictions import accuracy_of, merge_predictions
from mmf_visualbert.errors import InputError

SPLITS = ("val", "test")


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="run both models, and merge what they say")
    for name in ("--answer", "--rationale"):
        predict.add_argument(name, nargs=2, required=True, metavar=("CONFIG", "CHECKPOINT"))
    predict.add_argument("--data-dir", type=Path, required=True, help="MMF's env.data_dir, with vcr/ below it")
    predict.add_argument("--out", type=Path, required=True, help="folder for predictions and csv files")
    predict.add_argument("--splits", nargs="+", default=list(SPLITS), choices=SPLITS)
    predict.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="more of MMF's, for all runs")
    merge = commands.add_parser("merge", help="merge two prediction files")
    merge.add_argument("answers", type=Path)
    merge.add_argument("rationales", type=Path)
    merge.add_argument("file", type=Path, help="the csv to write")
    merge.add_argument("--annotations", type=Path, required=True, help="the split's official JSON lines")
    return parser.parse_args(given)


def merge(answers: Path, rationales: Path, file: Path, annotations: Path) -> str:
    """Writes the csv, and says what is in it."""
    merged = merge_predictions(answers, rationales)
    written = submissions.write("vcr", merged, file, annotations)
    accuracy = accuracy_of(merged, annotations)
    scores = "no labels"
    if accuracy is not None:
        scores = "   ".join(
            f"{title} {100 * share:.2f}" for title, share in zip(("Q→A", "QA→R", "Q→AR"), accuracy, strict=True)
        )
    return f"{file}: {written.entries} questions   {scores}"


def predictions(name: str, model: Sequence[str], split: str, options: argparse.Namespace) -> Path:
    """Runs one model on one split with MMF; the file of its predictions."""
    config, checkpoint = model
    if not Path(checkpoint).is_file():
        raise InputError(f"the checkpoint {checkpoint} of --{name} is missing; train that model first")
    folder = options.out / f"{name}_{split}"
    for old in folder.glob("reports/*.json"):
        old.unlink()
    given = [
        f"config={config}",
        f"run_type={split}",
        f"env.data_dir={options.data_dir}",
        f"env.save_dir={folder}",
        f"env.report_dir={folder / 'reports'}",
        f"checkpoint.resume_file={checkpoint}",
        "checkpoint.reset.all=true",
        *(["dataset_config.visualbert_vcr.answer_label." + split + "=all"] if name == "rationale" else []),
        *options.overrides,
    ]
    code = subprocess.run([str(Path(sys.executable).with_name("mmf_predict")), *given], check=False).returncode
    found = sorted(folder.glob("reports/**/*.json"))
    if code != 0 or not found:
        raise InputError(f"predicting {split} with the model of --{name} failed; mend what MMF says above, and repeat")
    return found[-1]


def main(given: list[str] | None = None) -> int:
    """Runs one command; gives the exit code."""
    options = arguments(given)
    try:
        if options.command == "merge":
            print(merge(options.answers, options.rationales, options.file, options.annotations))
            return 0
        lines = []
        for split in options.splits:
            answers, rationales = (
                predictions(name, getattr(options, name), split, options) for name in ("answer", "rationale")
            )
            annotations = options.data_dir / "vcr" / f"{split}.jsonl"
            lines.append(merge(answers, rationales, options.out / f"{split}.csv", annotations))
        print("\n".join(lines))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
