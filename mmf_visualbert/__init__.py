"""VisualBERT (Li et al., 2019) as a plugin for MMF.

Importing this package registers everything with MMF: at once where MMF is imported already, otherwise in the moment
MMF is imported. Nothing else happens on import, so that `modules`, `checkpoints`, `features.store` and the readers in
`datasets` are usable where MMF is not installed.
"""

from typing import TYPE_CHECKING, Any

from mmf_visualbert.compat import activate

if TYPE_CHECKING:
    from mmf_visualbert.pretrained import VisualBERT

__all__ = ["VisualBERT", "__version__"]

__version__ = "0.1.0"

activate()


def __getattr__(name: str) -> Any:
    """`VisualBERT`, imported where it is first asked for: every Python process of the environment imports this file."""
    if name == "VisualBERT":
        from mmf_visualbert.pretrained import VisualBERT

        return VisualBERT
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
