"""Messages of a run."""

import atexit
import functools
import logging
from types import ModuleType
from typing import Any

from mmf_visualbert.compat.probes import mentions
from mmf_visualbert.compat.replace import replace

OURS = "mmf_visualbert"


def show_our_messages(logger: ModuleType) -> str | None:
    """`Logger` (MMF rc10) shows its own messages only, so that ours would be lost. Can go with rc10.

    Main gives its handlers to the root of all loggers.
    """
    cls = vars(logger).get("Logger")
    if cls is None or mentions(cls.__init__, "basicConfig"):
        return None
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

    replace(cls, __init__=with_ours)
    return "MMF would show no messages but its own"


def close_tensorboard_in_time(logger: ModuleType) -> str | None:
    """`TensorboardLogger` (MMF rc10 and main) leaves its writer open until the interpreter ends.

    It may then be closed when its thread is gone already, and the process waits for it for ever, or not at all, and
    the last two minutes are lost. It is closed at exit, while threads still live. Can go when MMF does so itself.
    """
    cls = logger.TensorboardLogger
    if any(mentions(method, "atexit") for method in vars(cls).values() if callable(method)):
        return None
    initialise = cls.__init__

    @functools.wraps(initialise)
    def closing_at_exit(self: Any, *args: Any, **options: Any) -> None:
        initialise(self, *args, **options)
        atexit.register(close_writer, self)

    replace(cls, __init__=closing_at_exit)
    return "MMF could wait for its tensorboard log for ever at the end"


def close_writer(tensorboard: Any) -> None:
    """Close the writer of an MMF TensorboardLogger, if it has one, and take it away."""
    for name in ("summary_writer", "_summary_writer"):
        writer = vars(tensorboard).get(name)
        if writer is not None:
            writer.close()
            setattr(tensorboard, name, None)
