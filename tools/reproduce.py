#!/usr/bin/env python
"""Runs the phases of one of the paper's variants and prints its row beside the paper's.

python tools/reproduce.py is `visualbert reproduce`.
"""

import sys

from mmf_visualbert.cli.main import run


def main() -> None:
    """Exits with a code that is not 0 where something is wrong."""
    code = run("reproduce", None, "reproduce.py")
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
