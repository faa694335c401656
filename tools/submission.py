#!/usr/bin/env python
"""Leaderboard files, checked and written.

python tools/submission.py is `visualbert submission`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("submission", arguments, "submission.py")


if __name__ == "__main__":
    sys.exit(main())
