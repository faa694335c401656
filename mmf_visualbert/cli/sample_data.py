"""Draws the sample world: a small generated world in the official file formats of all five annotation sets.

visualbert sample-data --out data/sample
"""

import argparse
from pathlib import Path

from mmf_visualbert.sampleworld.build import Arguments, build, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What decides the world, and where it goes."""
    parser.add_argument("--out", type=Path, required=True, help="folder to make; it must not exist, or be empty")
    parser.add_argument(
        "--images", type=int, default=Arguments.images, help="train scenes; all else scales (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=Arguments.seed, help="of everything drawn (%(default)s)")
    parser.add_argument(
        "--dimension", type=int, default=Arguments.dimension, help="of a region's features (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draws, prints the summary."""
    wanted = Arguments(options.images, options.seed, options.dimension)
    print(table(build(options.out, wanted, lambda line: print(line, flush=True))))
