"""Weights of other VisualBERTs to ours, and back.

visualbert convert from FILE_OR_FOLDER OUT.pth [--answers answers_vqa.txt]
visualbert convert to {transformers,authors,mmf} FILE OUT

`from` takes the authors' .th files, folders and files of transformers, and MMF's visual_bert; it writes a checkpoint
for checkpoint.resume_file and, as OUT.yaml, the configuration that the weights ask for. A fault is one sentence and
exit code 2.
"""

import argparse
from pathlib import Path

from mmf_visualbert.checkpoints.names import NAMINGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Both ways."""
    commands = parser.add_subparsers(required=True)
    given = commands.add_parser("from", help="another VisualBERT to ours")
    given.set_defaults(run=run_from)
    given.add_argument(
        "--source", choices=["auto", *NAMINGS], default="auto", help="whose names (default: by the names)"
    )
    given.add_argument("--answers", type=Path, help="the answers of a VQA classifier, to keep them in the checkpoint")
    given.add_argument(
        "--head", help="the registered head that a classifier is for (default: by config.json, or else by its rows)"
    )
    back = commands.add_parser("to", help="ours to another VisualBERT")
    back.set_defaults(run=run_to)
    back.add_argument("target", choices=list(NAMINGS))
    back.add_argument("--head", help="of several heads of tasks the one to keep")
    for command in (given, back):
        command.add_argument("weights", type=Path, help="a file of weights, or a folder of transformers")
        command.add_argument("out", type=Path, help="the file (a folder for transformers) to write")
        command.add_argument("--heads", type=int, help="number of attention heads, where no configuration is stored")


def run_from(options: argparse.Namespace) -> None:
    """Another VisualBERT to ours; prints what became of each weight."""
    from mmf_visualbert.checkpoints.commands import convert_from

    lines = convert_from(options.weights, options.out, options.source, options.answers, options.heads, options.head)
    print("\n".join(lines))


def run_to(options: argparse.Namespace) -> None:
    """Ours to another VisualBERT; prints what became of each weight."""
    from mmf_visualbert.checkpoints.commands import convert_to

    print("\n".join(convert_to(options.target, options.weights, options.out, options.heads, options.head)))
