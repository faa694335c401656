#!/usr/bin/env python
"""Speed and memory, each figure beside its rival in the same run.

python tools/benchmark.py is `visualbert benchmark`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("benchmark", arguments, "benchmark.py")


if __name__ == "__main__":
    sys.exit(main())
