"""Weights of other VisualBERTs to ours, and back.

python tools/convert_checkpoint.py from FILE_OR_FOLDER OUT.pth [--answers answers_vqa.txt]
python tools/convert_checkpoint.py to {transformers,authors,mmf} FILE OUT

`from` takes the authors' .th files, folders and files of transformers, and MMF's visual_bert; it writes a checkpoint
for checkpoint.resume_file and, as OUT.yaml, the configuration that the weights ask for. A fault is one sentence and
exit code 2.
"""

import argparse
import sys
from pathlib import Path

from mmf_visualbert.checkpoints.commands import convert_from, convert_to
from mmf_visualbert.checkpoints.names import NAMINGS
from mmf_visualbert.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    given = commands.add_parser("from", help="another VisualBERT to ours")
    given.add_argument(
        "--source", choices=["auto", *NAMINGS], default="auto", help="whose names (default: by the names)"
    )
    given.add_argument("--answers", type=Path, help="the answers of a VQA classifier, to keep them in the checkpoint")
    given.add_argument("--head", help="the registered head that a classifier is for (default: by its number of rows)")
    back = commands.add_parser("to", help="ours to another VisualBERT")
    back.add_argument("target", choices=list(NAMINGS))
    for command in (given, back):
        command.add_argument("weights", type=Path, help="a file of weights, or a folder of transformers")
        command.add_argument("out", type=Path, help="the file (a folder for transformers) to write")
        command.add_argument("--heads", type=int, help="number of attention heads (default: one per 64 hidden units)")
    options = parser.parse_args(arguments)
    try:
        if options.command == "from":
            lines = convert_from(
                options.weights, options.out, options.source, options.answers, options.heads, options.head
            )
        else:
            lines = convert_to(options.target, options.weights, options.out, options.heads)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
