"""VisualBERT (Li et al., 2019) as a plugin for MMF.

Importing this package registers everything with MMF: at once where MMF is imported already, otherwise in the moment
MMF is imported. Nothing else happens on import, so that `modules`, `checkpoints`, `features.store` and the readers in
`datasets` are usable where MMF is not installed.
"""

from mmf_visualbert.compat import activate

__version__ = "0.1.0"

activate()
