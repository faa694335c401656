"""What omegaconf 2.0 did and 2.1 no longer does."""

import os
import sys
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError

from mmf_visualbert.compat.probes import text_of
from mmf_visualbert.compat.replace import replace

MMF_PACKAGES = ("mmf", "mmf_cli", "__main__")


def register_env_resolver() -> str | None:
    """`${env:X,}` in the defaults of MMF rc10: the resolver `env` was removed in omegaconf 2.1.

    Registered again whenever MMF clears all resolvers, and `register_resolver` without its warning. Can go with rc10.
    """
    if OmegaConf.has_resolver("env") or "${env:" not in text_of("mmf", "configs/defaults.yaml"):
        return None
    clear = OmegaConf.clear_resolvers

    def clear_resolvers() -> None:
        clear()
        OmegaConf.register_new_resolver("env", environment_value)

    def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
        OmegaConf.register_new_resolver(name, resolver, replace=True)

    replace(OmegaConf, clear_resolvers=staticmethod(clear_resolvers), register_resolver=staticmethod(register_resolver))
    OmegaConf.register_new_resolver("env", environment_value)
    return "omegaconf 2.1 removed the resolver env"


def environment_value(key: str, default: str | None = None) -> Any:
    """The environment variable `key`, or the default."""
    value = os.environ.get(key)
    return default if value is None else value


def give_none_for_missing_keys() -> str | None:
    """`config.learning_rate` where there is none (MMF rc10; main: `config.model`): omegaconf 2.1 raises.

    Only for MMF's own code and for configurations that are not in struct mode. Can go when MMF reads with `get`.
    """
    if not raises_for_missing():
        return None
    get_attribute = DictConfig.__getattr__

    def __getattr__(self: DictConfig, key: str) -> Any:  # noqa: N807
        try:
            return get_attribute(self, key)
        except ConfigAttributeError:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if caller.partition(".")[0] not in MMF_PACKAGES or self._get_flag("struct"):
                raise
            return None

    replace(DictConfig, __getattr__=__getattr__)
    return "omegaconf 2.1 raises for keys that are missing"


def raises_for_missing() -> bool:
    """Whether a missing key read as an attribute raises."""
    try:
        OmegaConf.create({}).missing  # noqa: B018
    except AttributeError:
        return True
    return False


def restore_pretty() -> str | None:
    """`config.pretty()` (MMF rc10): removed in omegaconf 2.1. Can go with rc10."""
    if hasattr(DictConfig, "pretty") or ".pretty(" not in text_of("mmf", "utils/checkpoint.py"):
        return None
    replace(DictConfig, pretty=lambda self, resolve=False: OmegaConf.to_yaml(self, resolve=resolve))
    return "omegaconf 2.1 removed pretty"
