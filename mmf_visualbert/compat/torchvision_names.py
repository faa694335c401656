"""Names that torchvision removed."""

from types import ModuleType
from typing import Any

from mmf_visualbert.compat.probes import text_of
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError


def restore_read_video(io: ModuleType) -> str | None:
    """`torchvision.io.read_video` (MMF main): removed in torchvision 0.28. Can go with MMF's charades."""
    if hasattr(io, "read_video") or "read_video" not in text_of("mmf", "datasets/builders/charades/_utils.py"):
        return None
    replace(io, read_video=refuse_video)
    return "torchvision 0.28 removed read_video"


def refuse_video(path: str, *args: Any, **kwargs: Any) -> None:
    """Say that videos cannot be read.

    Raises:
        InputError: always.
    """
    raise InputError(f"{path} cannot be read, as torchvision 0.28 has no read_video; install torchvision 0.27 or older")
