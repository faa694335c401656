"""Warnings that MMF raises at every start on today's packages and that nobody who runs it can mend."""

import functools
import warnings
from types import ModuleType
from typing import NamedTuple

from mmf_visualbert.compat.probes import mentions, text_of
from mmf_visualbert.compat.replace import replace


class Warned(NamedTuple):
    """A warning, and the call of MMF that raises it.

    Attributes:
        message: pattern of the warning.
        file: of MMF.
        call: what the file has as long as the warning is raised.
    """

    message: str
    file: str
    call: str


AMP = r"`torch\.cuda\.amp\.(autocast|GradScaler)\(args\.\.\.\)` is deprecated"  # torch 2.4, main
WARNINGS = (
    # omegaconf 2.1, for `${env:X,}`
    Warned(r"(?s)In the sequence .* some elements are missing", "configs/defaults.yaml", ",}"),
    Warned(AMP, "trainers/core/training_loop.py", "torch.cuda.amp.autocast("),
    Warned(AMP, "trainers/mmf_trainer.py", "torch.cuda.amp.GradScaler("),
)


def hide_what_users_cannot_mend() -> str | None:
    """Deprecation warnings at each start and step (MMF rc10 and main). Can go with the calls that raise them."""
    raised = [one.message for one in WARNINGS if one.call in text_of("mmf", one.file)]
    for message in raised:
        warnings.filterwarnings("ignore", message=message)
    return "MMF's old calls raise warnings at each start" if raised else None


def keep_hidden(distributed: ModuleType) -> str | None:
    """`suppress_output` (MMF rc10 and main) lets all warnings through again with several processes. As above."""
    suppress = distributed.suppress_output
    if not mentions(suppress, "simplefilter") or hide_what_users_cannot_mend() is None:
        return None

    @functools.wraps(suppress)
    def suppress_and_hide(is_main: bool) -> None:
        suppress(is_main)
        hide_what_users_cannot_mend()

    replace(distributed, suppress_output=suppress_and_hide)
    return "MMF would show them again with several processes"
