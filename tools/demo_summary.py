#!/usr/bin/env python
"""The table at the end of tools/demo.sh: how good the model is, how good it is blind, and where everything lies."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from mmf_visualbert.ending import finish
from mmf_visualbert.files import read_json
from mmf_visualbert.reproduce.results import final_metrics
from mmf_visualbert.tasks.vqa2.answers import AnswerVocabulary

METRIC = "visualbert_vqa_accuracy"


def main() -> int:
    """Parses and shows the table; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--save", type=Path, required=True)
    args = parser.parse_args()
    return finish(lambda: show(args), "demo_summary.py")


def show(args: argparse.Namespace) -> None:
    """Reads the logs, prints."""
    model = final_metrics(args.save / "train")
    hidden = final_metrics(args.save / "hidden")
    majority = majority_accuracy(args.data / "vqa2")
    print("\nOfficial VQA accuracy on the sample world's val split")
    print(f"  VisualBERT                     {100 * model[METRIC]:6.2f} %")
    for kind in ("yes_no", "number", "other"):
        print(f"    {kind:<28} {100 * model[f'{METRIC}_{kind}']:6.2f} %")
    print(f"  the same, regions hidden       {100 * hidden[METRIC]:6.2f} %")
    print(f"  the most frequent answer       {100 * majority:6.2f} %")
    predictions = sorted((args.save / "predictions").rglob("*.json"))
    print(f"\npredictions      {predictions[-1] if predictions else 'none were written'}")
    print(f"checkpoint       {args.save / 'train' / 'best.ckpt'}")
    print(f"tensorboard      tensorboard --logdir {args.save / 'train'}")


def majority_accuracy(folder: Path) -> float:
    """Official accuracy on val of always giving the answer that is most frequent in train."""
    train = read_json(folder / "v2_mscoco_train2014_annotations.json")["annotations"]
    answer = Counter(entry["multiple_choice_answer"] for entry in train).most_common(1)[0][0]
    val = read_json(folder / "v2_mscoco_val2014_annotations.json")["annotations"]
    vocabulary = AnswerVocabulary([answer])
    scores = [vocabulary.targets([a["answer"] for a in entry["answers"]], official=True) for entry in val]
    return float(sum(scores) / len(scores))


if __name__ == "__main__":
    sys.exit(main())
