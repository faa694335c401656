"""Names that left Python's standard library."""

import collections
import collections.abc


def restore_collections_names() -> str | None:
    """`collections.Mapping` and friends (MMF rc10): removed in Python 3.10. Can go with rc10."""
    missing = [name for name in collections.abc.__all__ if not hasattr(collections, name)]
    for name in missing:
        setattr(collections, name, getattr(collections.abc, name))
    return "Python 3.10 removed collections.Mapping and others" if missing else None
