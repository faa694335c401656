"""Puts MMF into this environment, without its pins of 2020.

visualbert install-mmf rc10
visualbert install-mmf main
visualbert install-mmf CHECKOUT

rc10 is the release on PyPI; main is GitHub's, which needs more packages: pip install "mmf_visualbert[mmf-main]". A
checkout is only put on the path. An MMF that was installed before is removed.
"""

import argparse

from mmf_visualbert.install_mmf import install


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which MMF."""
    parser.set_defaults(run=run)
    parser.add_argument("mmf", nargs="?", default="rc10", help="rc10, main, or the folder of a checkout (%(default)s)")


def run(options: argparse.Namespace) -> None:
    """Installs it."""
    install(options.mmf)
