#!/usr/bin/env python
"""Weights of other VisualBERTs to ours, and back.

python tools/convert_checkpoint.py is `visualbert convert`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("convert", arguments, "convert_checkpoint.py")


if __name__ == "__main__":
    sys.exit(main())
