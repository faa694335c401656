"""The commands `mmf_run` and `mmf_predict`: MMF's own, ended as all of ours are."""

import importlib
import sys
from collections.abc import Callable

from requests import RequestException

from mmf_visualbert.ending import finish
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.preemption import listening
from mmf_visualbert.plugin.processes import together

NO_MODEL = "Required argument 'model' not passed"


def run() -> None:
    """`mmf_run`: train and evaluate."""
    run_command(importlib.import_module("mmf_cli.run").run)


def predict() -> None:
    """`mmf_predict`: write predictions."""
    run_command(importlib.import_module("mmf_cli.predict").predict)


def run_command(command: Callable[[], None]) -> None:
    """Run one of MMF's commands; where it fails, exit with the code that `ending.finish` gives."""
    with listening():
        code = finish(lambda: together(lambda: named(command)), "mmf_visualbert")
    if code:
        sys.exit(code)


def named(command: Callable[[], None]) -> None:
    """Runs one of MMF's commands, and says in a sentence what MMF leaves to a traceback.

    Raises:
        InputError: where neither the command line nor a yaml names a model, or a download fails.
    """
    try:
        command()
    except KeyError as error:
        if NO_MODEL not in str(error):
            raise
        raise InputError(
            "no model is named, neither on the command line nor in a yaml; give the yaml of a run, as "
            "config=projects/visualbert/configs/vqa2/defaults.yaml"
        ) from error
    except RequestException as error:
        url = error.request.url if error.request else None
        what = url if isinstance(url, str) else "what MMF asks for"
        raise InputError(
            f"{what} cannot be downloaded; look whether this machine has a network, or name files that are on it"
        ) from error
