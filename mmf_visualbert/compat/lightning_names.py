"""Modules that pytorch_lightning moved."""

import importlib
from types import ModuleType

from mmf_visualbert.compat import probes
from mmf_visualbert.compat.importing import stand_in
from mmf_visualbert.compat.probes import text_of

OLD = "pytorch_lightning.callbacks.base"


def restore_callbacks_base() -> str | None:
    """`pytorch_lightning.callbacks.base` (MMF main): removed in pytorch_lightning 1.8. Can go when MMF moves on."""
    folder = probes.folder_of("pytorch_lightning")
    if folder is None or (folder / "callbacks" / "base.py").is_file():
        return None
    if OLD not in text_of("mmf", "trainers/lightning_core/loop_callback.py"):
        return None
    stand_in(callbacks_base)
    return "pytorch_lightning 1.8 removed callbacks.base"


def callbacks_base(name: str) -> ModuleType | None:
    """The module that now holds what the old one held."""
    return importlib.import_module("pytorch_lightning.callbacks") if name == OLD else None
