"""Configurations as plain containers."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf


def merge(*configs: Any) -> DictConfig:
    """Sections merged into one, the last word wins.

    Raises:
        TypeError: where they are lists.
        omegaconf's errors: where a value does not fit the one it replaces.
    """
    merged = OmegaConf.merge(*configs)
    if not isinstance(merged, DictConfig):
        raise TypeError("a section is a mapping, and these are lists")
    return merged


def container(config: Any, resolve: bool = True) -> dict[str, Any]:
    """A section of a configuration as a plain dict of plain containers.

    Args:
        config: of omegaconf, or a mapping.
        resolve: put values in place of interpolations; otherwise they stay as they are written.

    Raises:
        TypeError: where it is no mapping.
        omegaconf's errors: for an interpolation that leads nowhere.
    """
    plain = OmegaConf.to_container(config, resolve=resolve) if OmegaConf.is_config(config) else config
    if not isinstance(plain, Mapping):
        raise TypeError(f"a section is a mapping, and this is a {type(plain).__name__}")
    return {str(key): value for key, value in plain.items()}
