"""The commands `mmf_run` and `mmf_predict`: MMF's own, ended as all of ours are."""

import importlib
import sys
from collections.abc import Callable

from mmf_visualbert.ending import finish
from mmf_visualbert.plugin.preemption import listening
from mmf_visualbert.plugin.processes import together


def run() -> None:
    """`mmf_run`: train and evaluate."""
    run_command(importlib.import_module("mmf_cli.run").run)


def predict() -> None:
    """`mmf_predict`: write predictions."""
    run_command(importlib.import_module("mmf_cli.predict").predict)


def run_command(command: Callable[[], None]) -> None:
    """Run one of MMF's commands; where it fails, exit with the code that `ending.finish` gives."""
    with listening():
        code = finish(lambda: together(command), "mmf_visualbert")
    if code:
        sys.exit(code)
