"""Warnings that MMF raises at every start on today's packages and that nobody who runs it can mend."""

import warnings

MESSAGES = (
    r"(?s)In the sequence .* some elements are missing",  # omegaconf 2.1, for `${env:X,}` in MMF's defaults
    r"register_resolver\(\) is deprecated",  # omegaconf 2.1, rc10
    r"`torch\.cuda\.amp\.(autocast|GradScaler)\(args\.\.\.\)` is deprecated",  # torch 2.4, main
)


def hide_what_users_cannot_mend() -> str | None:
    """Deprecation warnings at each start and step (MMF rc10 and main). Can go with the calls that raise them."""
    for message in MESSAGES:
        warnings.filterwarnings("ignore", message=message)
    return "MMF's old calls raise warnings at each start"
