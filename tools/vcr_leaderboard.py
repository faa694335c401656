#!/usr/bin/env python
"""From two trained VCR models to the leaderboard's csv, and Q→AR where labels are known.

python tools/vcr_leaderboard.py is `visualbert vcr leaderboard`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("vcr_leaderboard", arguments, "vcr_leaderboard.py")


if __name__ == "__main__":
    sys.exit(main())
