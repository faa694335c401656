"""Leaderboard files, checked and written.

visualbert submission check --task nlvr2 FILE --annotations nlvr2/test1.json
visualbert submission write --task nlvr2 PREDICTIONS.json FILE --annotations nlvr2/test1.json

PREDICTIONS.json is the report of `mmf_predict`. A fault is one sentence and exit code 2.
"""

import argparse
from pathlib import Path

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Both commands."""
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("check", help="check a leaderboard file against the official annotations")
    check.set_defaults(run=run_check)
    write = commands.add_parser("write", help="write a leaderboard file from the report of mmf_predict")
    write.set_defaults(run=run_write)
    write.add_argument("predictions", type=Path, help="the report, a json list")
    for command in (check, write):
        command.add_argument("file", type=Path, help="the leaderboard file")
        command.add_argument("--task", required=True, metavar="TASK", help="vqa2, nlvr2, vcr, ...")
        command.add_argument(
            "--annotations",
            type=Path,
            required=command is check,
            help="VQA's questions json, NLVR2's or VCR's JSON lines, Flickr30K's split file beside its two folders",
        )


def run_check(options: argparse.Namespace) -> None:
    """Prints the line that says that the file is right."""
    from mmf_visualbert import submissions

    count = submissions.check(options.task, options.file, options.annotations)
    print(f"{options.file} is a valid {options.task} submission of {count} entries")


def run_write(options: argparse.Namespace) -> None:
    """Prints the line that says what was written."""
    from mmf_visualbert import submissions

    predictions = read_json(options.predictions)
    if not isinstance(predictions, list):
        raise InputError(f"{options.predictions} is no list of predictions; give the json report of mmf_predict")
    written = submissions.write(options.task, predictions, options.file, options.annotations)
    repeated = f", {written.repeated} repeated predictions left out" if written.repeated else ""
    checked = "" if options.annotations else ", not checked: no --annotations"
    print(f"{options.file}: {written.entries} entries{repeated}{checked}")
