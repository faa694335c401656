"""What is installed, and whether it works together.

visualbert doctor

Prints versions, the device, which MMF and from where, which repairs are active and why, and which optional parts are
missing and how to get them. Exit code 0 where training can run, 1 where it cannot.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Examines and prints; gives the exit code."""
    from mmf_visualbert import doctor

    return doctor.main()
