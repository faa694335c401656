#!/usr/bin/env python
"""Stores of region features: build, convert, merge, describe, check.

python tools/feature_store.py is `visualbert features`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("features", arguments, "feature_store.py")


if __name__ == "__main__":
    sys.exit(main())
