#!/usr/bin/env python
"""Section 5 of the paper: what the attention heads of a model have learnt.

python tools/analyze.py is `visualbert analyze`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("analyze", arguments, "analyze.py")


if __name__ == "__main__":
    sys.exit(main())
