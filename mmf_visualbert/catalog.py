"""Names of our parts, kept without MMF; `registration` hands the same names to MMF's registry.

Kinds and what is registered under them:

- `processor`: a class that takes plain keywords and is called by a dataset.
- `dataset`: a function `(config: Mapping, split: str, processors: Mapping) -> dataset`.
- `region_encoder`: a module class, `forward(batch) -> NamedTuple` with `features` (B, R, D), for regions
  made from images.
- `head`: a module class, `forward(encoded, batch) -> NamedTuple`.
- `loss`: a module class, `forward(sample_list, model_output) -> Tensor`.
- `metric`: a class with `required_params` and `calculate(sample_list, model_output) -> Tensor`.
- `optimizer`, `scheduler`: classes in torch's own shape.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mmf_visualbert.errors import InputError

KINDS = ("processor", "dataset", "region_encoder", "head", "loss", "metric", "optimizer", "scheduler")
PREFIX = "visualbert_"

Part = TypeVar("Part", bound=Callable[..., Any])
_parts: dict[str, dict[str, Callable[..., Any]]] = {kind: {} for kind in KINDS}


def register(kind: str, name: str) -> Callable[[Part], Part]:
    """Decorator that files a class or function under `kind` and `name`.

    Raises:
        ValueError: for an unknown kind, a name without our prefix, or a name that is taken (MMF overwrites silently).
    """
    if kind not in _parts:
        raise ValueError(f"'{kind}' is not one of the kinds {', '.join(KINDS)}")
    if not name.startswith(PREFIX):
        raise ValueError(f"the name '{name}' has to begin with '{PREFIX}', so that it never clashes with MMF's own")

    def file_part(part: Part) -> Part:
        taken = _parts[kind].get(name)
        if taken is not None and taken.__qualname__ != part.__qualname__:
            raise ValueError(f"the {kind} '{name}' is registered already, by {taken.__module__}.{taken.__qualname__}")
        _parts[kind][name] = part
        return part

    return file_part


def get(kind: str, name: str) -> Callable[..., Any]:
    """The part registered under `kind` and `name`.

    Raises:
        InputError: where there is none; the message lists what there is.
    """
    try:
        return _parts[kind][name]
    except KeyError:
        available = ", ".join(sorted(_parts[kind])) or "none"
        raise InputError(f"there is no {kind} named '{name}'; available: {available}") from None


def build(kind: str, given: Mapping[str, Any]) -> Any:
    """The part that a section of a yaml names, built: `type` is its name, `params` its keywords, if it has any.

    Raises:
        InputError: as `get`.
    """
    return get(kind, given["type"])(**(given.get("params") or {}))


def names(kind: str) -> list[str]:
    """All names registered under `kind`, sorted."""
    return sorted(_parts[kind])
