#!/usr/bin/env python
"""Puts MMF into this environment, without its pins of 2020.

python tools/install_mmf.py is `visualbert install-mmf`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("install_mmf", arguments, "install_mmf.py")


if __name__ == "__main__":
    sys.exit(main())
