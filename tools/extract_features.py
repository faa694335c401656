#!/usr/bin/env python
"""Region features of images, by a detector of detectron2, into a feature store.

python tools/extract_features.py is `visualbert extract`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("extract", arguments, "extract_features.py")


if __name__ == "__main__":
    sys.exit(main())
