"""Draws the sample world: a small generated world in the official file formats of all five annotation sets.

python tools/sample_data.py --out data/sample
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from mmf_visualbert.errors import InputError
from mmf_visualbert.sampleworld.build import Arguments, build, table


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def _arguments() -> argparse.Namespace:
    defaults = Arguments()
    parser = _Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to make; it must not exist, or be empty")
    parser.add_argument(
        "--images", type=int, default=defaults.images, help="train scenes; all else scales (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of everything drawn (%(default)s)")
    parser.add_argument(
        "--dimension", type=int, default=defaults.dimension, help="of a region's features (%(default)s)"
    )
    return parser.parse_args()


def main() -> int:
    """Parses, draws, prints the summary; 2 where the arguments do not serve."""
    given = _arguments()
    try:
        rows = build(
            given.out, Arguments(given.images, given.seed, given.dimension), lambda line: print(line, flush=True)
        )
    except InputError as error:
        print(f"sample_data.py: {error}", file=sys.stderr)
        return 2
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
