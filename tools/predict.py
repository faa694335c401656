#!/usr/bin/env python
"""One answer of a trained model.

python tools/predict.py is `visualbert predict`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("predict", arguments, "predict.py")


if __name__ == "__main__":
    sys.exit(main())
