"""A log file that can no longer be written is said once; the run goes on."""

import functools
import logging
import sys
from types import ModuleType

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.files.writing import failure


def go_on_without_log(logger: ModuleType) -> str | None:
    """Python's handlers, which MMF (rc10 and main) takes, print a traceback for each line that finds no room. Stays."""
    handle_error = logging.FileHandler.handleError
    told: set[str] = set()

    @functools.wraps(handle_error)
    def tell_once(self: logging.FileHandler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            handle_error(self, record)
        elif self.baseFilename not in told:
            told.add(self.baseFilename)
            sys.stderr.write(f"mmf_visualbert: {failure(self.baseFilename, error)}; lines are missing from it\n")

    replace(logging.FileHandler, handleError=tell_once)
    return "each line of a log that finds no room on its disk would be a traceback"
