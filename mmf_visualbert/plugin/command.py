"""The commands `mmf_run` and `mmf_predict`: MMF's own, with bad input said in one line."""

import importlib
import re
import sys
from collections.abc import Callable

from mmf_visualbert.errors import InputError

BAD_INPUT = 2  # exit code
# How a worker's traceback, passed on as text, ends.
IN_TEXT = re.compile(rf"^(?:\S*\.)?{InputError.__name__}: (.+)$", re.MULTILINE)


def run() -> None:
    """`mmf_run`: train and evaluate."""
    run_command(importlib.import_module("mmf_cli.run").run)


def predict() -> None:
    """`mmf_predict`: write predictions."""
    run_command(importlib.import_module("mmf_cli.predict").predict)


def run_command(command: Callable[[], None]) -> None:
    """Run a command; an InputError, also from a worker or a spawned process, becomes one line and exit code 2."""
    try:
        command()
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        sys.stderr.write(f"mmf_visualbert: error: {sentence}\n")
        sys.exit(BAD_INPUT)


def sentence_of(error: BaseException | None) -> str | None:
    """The sentence of the InputError that `error` is, was raised from, or quotes as text; None for any other error."""
    while error is not None:
        quoted = IN_TEXT.findall(str(error))
        if quoted:
            return quoted[-1]
        if isinstance(error, InputError):
            return str(error)
        error = error.__cause__
    return None
