"""VCR alone: vectors of a fixed RoI backbone, made once, and the leaderboard's csv of its two models.

visualbert vcr features --annotations vcr/train.jsonl --images vcr/vcr1images --weights imagenet --out OUT
visualbert vcr leaderboard predict --data-dir DATA --out OUT --answer CONFIG CHECKPOINT --rationale CONFIG CHECKPOINT
visualbert vcr leaderboard merge ANSWERS.json RATIONALES.json OUT.csv --annotations vcr/test.jsonl
"""

import argparse
from types import ModuleType

from mmf_visualbert.cli import vcr_features, vcr_leaderboard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands, each a file of its own."""
    commands = parser.add_subparsers(required=True)
    parts: dict[str, tuple[ModuleType, str]] = {
        "features": (vcr_features, "vectors of a fixed RoI backbone, so that training needs no images"),
        "leaderboard": (vcr_leaderboard, "from two trained models to the leaderboard's csv"),
    }
    for name, (module, summary) in parts.items():
        form = argparse.RawDescriptionHelpFormatter
        module.add_arguments(commands.add_parser(name, help=summary, description=module.__doc__, formatter_class=form))
