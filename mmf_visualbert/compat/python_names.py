"""Names that left Python's standard library."""

import collections
import collections.abc
from types import ModuleType

from mmf_visualbert.compat.probes import mentions
from mmf_visualbert.compat.replace import replace


def restore_mapping(logger: ModuleType) -> str | None:
    """`collections.Mapping` in `Logger.log_progress` (MMF rc10): removed in Python 3.10. Can go with rc10."""
    cls = vars(logger).get("Logger")
    if hasattr(collections, "Mapping") or cls is None or not mentions(cls.log_progress, "collections", "Mapping"):
        return None
    if mentions(cls.log_progress, "abc"):
        return None
    replace(collections, Mapping=collections.abc.Mapping)
    return "Python 3.10 removed collections.Mapping"
