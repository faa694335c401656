"""A log file that can no longer be written is said once; the run goes on."""

import functools
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.files import write_errors
from mmf_visualbert.files.writing import failure


def make_the_folder_of_a_run(logger: ModuleType) -> str | None:
    """The log (MMF rc10 and main) is also written into `env.save_dir`, made as a parent of its own folder alone. Stays.

    With `env.log_dir` nobody has made it by then.
    """
    get_mmf_env = logger.get_mmf_env

    @functools.wraps(get_mmf_env)
    def get_made(key: str | None = None) -> Any:
        found = get_mmf_env(key)
        if key == "save_dir" and found:
            with write_errors(Path(found)):
                Path(found).mkdir(parents=True, exist_ok=True)
        return found

    replace(logger, get_mmf_env=get_made)
    return "MMF would not find its folder where env.log_dir is set"


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
