"""Modules that pytorch_lightning moved."""

import importlib
import importlib.util
from types import ModuleType

from mmf_visualbert.compat.importing import stand_in

OLD = "pytorch_lightning.callbacks.base"


def restore_callbacks_base() -> str | None:
    """`pytorch_lightning.callbacks.base` (MMF main): removed in pytorch_lightning 1.8. Can go when MMF moves on."""
    if importlib.util.find_spec("pytorch_lightning") is None:
        return None
    stand_in(callbacks_base)
    return "pytorch_lightning 1.8 removed callbacks.base"


def callbacks_base(name: str) -> ModuleType | None:
    """The module that now holds what the old one held."""
    return importlib.import_module("pytorch_lightning.callbacks") if name == OLD else None
