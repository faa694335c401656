"""Leaderboard files, checked and written.

python tools/submission.py check --task nlvr2 FILE --annotations nlvr2/test1.json
python tools/submission.py write --task nlvr2 PREDICTIONS.json FILE --annotations nlvr2/test1.json

PREDICTIONS.json is the report of `mmf_predict`. A fault is one sentence and exit code 2.
"""

import argparse
import sys
from pathlib import Path

from mmf_visualbert import submissions
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="check a leaderboard file against the official annotations")
    write = commands.add_parser("write", help="write a leaderboard file from the report of mmf_predict")
    write.add_argument("predictions", type=Path, help="the report, a json list")
    for command in (check, write):
        command.add_argument("file", type=Path, help="the leaderboard file")
        command.add_argument("--task", required=True, choices=submissions.with_leaderboard())
        command.add_argument(
            "--annotations",
            type=Path,
            required=command is check,
            help="VQA's questions json, NLVR2's or VCR's JSON lines, Flickr30K's split file beside its two folders",
        )
    options = parser.parse_args(arguments)
    try:
        print(run_check(options) if options.command == "check" else run_write(options))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def run_check(options: argparse.Namespace) -> str:
    """The line that says that the file is right."""
    count = submissions.check(options.task, options.file, options.annotations)
    return f"{options.file} is a valid {options.task} submission of {count} entries"


def run_write(options: argparse.Namespace) -> str:
    """The line that says what was written."""
    predictions = read_json(options.predictions)
    if not isinstance(predictions, list):
        raise InputError(f"{options.predictions} is no list of predictions; give the json report of mmf_predict")
    written = submissions.write(options.task, predictions, options.file, options.annotations)
    repeated = f", {written.repeated} repeated predictions left out" if written.repeated else ""
    checked = "" if options.annotations else ", not checked: no --annotations"
    return f"{options.file}: {written.entries} entries{repeated}{checked}"


if __name__ == "__main__":
    sys.exit(main())
