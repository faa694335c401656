"""Warnings that MMF raises at every start on today's packages and that nobody who runs it can mend."""

import functools
import warnings
from types import ModuleType

MESSAGES = (
    r"(?s)In the sequence .* some elements are missing",  # omegaconf 2.1, for `${env:X,}` in MMF's defaults
    r"`torch\.cuda\.amp\.(autocast|GradScaler)\(args\.\.\.\)` is deprecated",  # torch 2.4, main
)


def hide_what_users_cannot_mend() -> str | None:
    """Deprecation warnings at each start and step (MMF rc10 and main). Can go with the calls that raise them."""
    for message in MESSAGES:
        warnings.filterwarnings("ignore", message=message)
    return "MMF's old calls raise warnings at each start"


def keep_hidden(distributed: ModuleType) -> str | None:
    """`suppress_output` (MMF rc10 and main) lets all warnings through again with several processes. As above."""
    suppress = distributed.suppress_output

    @functools.wraps(suppress)
    def suppress_and_hide(is_main: bool) -> None:
        suppress(is_main)
        hide_what_users_cannot_mend()

    distributed.suppress_output = suppress_and_hide
    return "MMF would show them again with several processes"
