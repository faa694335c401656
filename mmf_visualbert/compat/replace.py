"""The one place where something of others is replaced: an attribute of their module or class."""

from types import ModuleType
from typing import Any


def replace(owner: ModuleType | type, **attributes: Any) -> None:
    """Puts each of `attributes` in place of what `owner` has under its name, or adds it."""
    for name, value in attributes.items():
        setattr(owner, name, value)
