"""Messages of a run."""

import functools
import logging
from types import ModuleType
from typing import Any

OURS = "mmf_visualbert"


def show_our_messages(logger: ModuleType) -> str | None:
    """`Logger` (MMF rc10) shows its own messages only, so that ours would be lost. Can go with rc10."""
    cls = logger.Logger
    initialise = cls.__init__

    @functools.wraps(initialise)
    def with_ours(self: Any, config: Any, name: str | None = None) -> None:
        initialise(self, config, name)
        theirs, ours = self._logger, logging.getLogger(OURS)
        if theirs is None:
            return
        ours.setLevel(theirs.level)
        for handler in theirs.handlers:
            if handler not in ours.handlers:
                ours.addHandler(handler)

    cls.__init__ = with_ours
    return "MMF would show no messages but its own"
