#!/usr/bin/env python
"""Vectors of a fixed RoI backbone for VCR or for COCO's detections, made once, so that training needs no images.

python tools/vcr_features.py is `visualbert vcr features`.
"""

import sys

from mmf_visualbert.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code."""
    return run("vcr_features", arguments, "vcr_features.py")


if __name__ == "__main__":
    sys.exit(main())
