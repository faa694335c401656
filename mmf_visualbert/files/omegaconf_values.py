"""Lists and dictionaries of omegaconf within a file of torch, as MMF's optimizers leave them in a checkpoint (`betas`).

Of omegaconf nothing is run: its classes' names are given to stand-ins that keep what was written down and do nothing.
"""

from collections.abc import Mapping
from typing import Any

_NODES = ("AnyNode", "StringNode", "IntegerNode", "FloatNode", "BooleanNode")


class _Kept:
    """Something of omegaconf's: its state, as it was written down."""

    def __init__(self, *arguments: Any) -> None:
        self.state: Mapping[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, Mapping) else {}


class _KeptDict(dict[Any, Any]):
    """`defaultdict`, whatever it would have made."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__()


def stand_ins() -> list[type]:
    """Classes under the names that a pickle of omegaconf's values has."""
    names = [("omegaconf.listconfig", "ListConfig"), ("omegaconf.dictconfig", "DictConfig")]
    names += [("omegaconf.nodes", name) for name in _NODES]
    names += [("omegaconf.base", name) for name in ("ContainerMetadata", "Metadata")]
    # The types of keys and elements, which are named and not made.
    names += [("typing", "Any"), *(("builtins", name) for name in ("list", "dict", "int", "float", "str", "bool"))]
    made = [_named(module, name, _Kept) for module, name in names]
    return [*made, _named("collections", "defaultdict", _KeptDict)]


def _named(module: str, name: str, base: type) -> type:
    return type(name, (base,), {"__module__": module, "__qualname__": name})


def plain(value: Any, done: dict[int, tuple[Any, Any]] | None = None) -> Any:
    """A value with what stands in for omegaconf's as lists, dictionaries and what is in them; all else as it is.

    Args:
        value: what was read; its dictionaries and lists are changed in place.
        done: what has been looked at, by identity, so that what stands in many places is looked at once.
    """
    done = {} if done is None else done
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, _Kept):
        # An interpolation, or a value that is missing, is the text that it was written as.
        result = plain(value.state.get("_content", value.state.get("_val")), done)
    elif type(value) is tuple:
        result = tuple(plain(one, done) for one in value)
    else:
        done[id(value)] = (value, value)
        if isinstance(value, dict):
            value.update({key: plain(one, done) for key, one in value.items()})
        elif isinstance(value, list):
            value[:] = [plain(one, done) for one in value]
        return value
    done[id(value)] = (value, result)
    return result
