"""A data set from a table, looked at before it is trained on.

visualbert table check my_task.yaml

Says what a run would stop at (exit code 2), and what it would not but you may want to know: rows and labels of each
split, labels with one example, images without features, texts that are cut, and what stands in two splits.
"""

import argparse
from pathlib import Path

from mmf_visualbert.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One command."""
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("check", help="what is wrong with a table, or may be")
    check.set_defaults(run=run_check)
    check.add_argument("config", type=Path, help="the yaml of the run")
    check.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for mmf_run")


def run_check(options: argparse.Namespace) -> None:
    """Prints a line for each finding.

    Raises:
        InputError: with the number of faults, where there are any.
    """
    from mmf_visualbert.runs import plain, read_config
    from mmf_visualbert.tasks.table.checking import check_table

    section = plain(read_config(options.config, options.overrides), "dataset_config.visualbert_table")
    faults = 0
    for finding in check_table(section):
        faults += finding.is_fault
        print(f"{'FAULT ' if finding.is_fault else ''}{finding.text}")
    if faults:
        raise InputError(f"{options.config} has {faults} fault{'s' * (faults > 1)} that a run would stop at; see above")
    print(f"{options.config} has no fault; mmf_run config={options.config} trains on it")
