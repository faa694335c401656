#!/usr/bin/env python
"""Draws the sample world: a small generated world in the official file formats of all five annotation sets.

python tools/sample_data.py is `visualbert sample-data`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("sample_data", arguments, "sample_data.py")


if __name__ == "__main__":
    sys.exit(main())
