"""From a plain section of a yaml to typed settings: `dataset_config.<name>` ends here.

Each dataset has a frozen dataclass `Settings` in its task's folder, the twin of its yaml: a field for each key, of the
key's type, with the yaml's default.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from mmf_visualbert.catalog import IN_WORDS
from mmf_visualbert.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")

WORDS: dict[Any, str] = {**IN_WORDS, Path: "a path"}
# What is taken for a kind beside itself.
CASTS: dict[Any, tuple[type, ...]] = {float: (int, float), str: (str, Path), Path: (str, Path)}


@dataclass(frozen=True)
class Part:
    """A part that a section names, such as a processor.

    Attributes:
        type: its registered name.
        params: keywords of its constructor.
    """

    type: str
    params: Mapping[str, Any] = field(default_factory=dict)


# What the yaml of the model gives to processors by default: `tokenizer` and `region_dimension`.
TOKENIZER = "bert-base-uncased"
REGION_DIMENSION = 2048
TEXT = Part("visualbert_text", {"tokenizer": TOKENIZER, "max_seq_length": 128, "keep_words": 0})


def regions_of(max_regions: int, **more: Any) -> Part:
    """The processor of stored regions, R = `max_regions`."""
    return Part("visualbert_regions", {"max_regions": max_regions, "dimension": REGION_DIMENSION, **more})


def read_settings(cls: type[Settings], config: Mapping[str, Any], where: str) -> Settings:
    """The settings that a section gives; its keys are those of `cls`, and what it leaves out has the default.

    Args:
        cls: a dataclass. Its fields are bool, int, float, str, Path, a dataclass (a section within the section; null
            for one that sets nothing), `tuple[X, ...]` or `tuple[X, Y]` (a list; of texts also a text alone),
            `Mapping[str, X]`, any of them `| None` (null), or `Any`.
        config: the section, plain and resolved.
        where: what errors call it, `dataset_config.<name>`.

    Raises:
        InputError: naming the key, for one that is unknown, is left out and has no default, or has a value of another
            type.
    """
    kinds = get_type_hints(cls)
    known = {each.name: kinds[each.name] for each in fields(cls)}
    unknown = sorted(str(key) for key in config if key not in known)
    if unknown:
        raise InputError(f"{where} has the unknown key '{unknown[0]}'; it takes {', '.join(known)}")
    given = {name: _value(known[name], value, f"{where}.{name}") for name, value in config.items()}
    for each in fields(cls):
        if each.name not in given and each.default is MISSING and each.default_factory is MISSING:
            raise InputError(f"{where}.{each.name} is left out; set it to {_words(known[each.name])}")
    return cls(**given)


def _value(kind: Any, value: Any, where: str, wanted: Any = None) -> Any:
    """`value` as a `kind`; `wanted` is what errors ask for, where it is more than that."""
    if kind is Any:
        return value
    if get_origin(kind) in (Union, UnionType):
        (given,) = (each for each in get_args(kind) if each is not NoneType)
        # An empty section is none too: MMF cannot merge a null over a section that has keys.
        empty = value is None or (value == {} and is_dataclass(given))
        return None if empty else _value(given, value, where, kind)
    if is_dataclass(kind) and isinstance(kind, type) and (value is None or isinstance(value, Mapping)):
        return read_settings(kind, value or {}, where)
    if get_origin(kind) is Mapping and (value is None or isinstance(value, Mapping)):
        return {str(key): _value(get_args(kind)[1], each, f"{where}.{key}") for key, each in (value or {}).items()}
    if get_origin(kind) is tuple:
        items = _items(kind, value, where)
        if items is not None:
            return items
    elif kind in CASTS and type(value) is not bool and isinstance(value, CASTS[kind]):
        return kind(value)
    elif type(value) is kind:
        return value
    fault = "is left out" if value is None else f"is {value!r}"
    raise InputError(f"{where} {fault}; set it to {_words(wanted or kind)}")


def _items(kind: Any, value: Any, where: str) -> tuple[Any, ...] | None:
    """A list's items by their kinds; None where it is no such list."""
    kinds = get_args(kind)
    if kinds[-1] is Ellipsis:
        value = [] if value in (None, "") else value
        value = [value] if kinds[0] is str and isinstance(value, str | Path) else value
        kinds = kinds[:1] * (len(value) if isinstance(value, list | tuple) else 0)
    if not isinstance(value, list | tuple) or len(value) != len(kinds):
        return None
    return tuple(
        _value(one, item, f"{where}[{place}]") for place, (one, item) in enumerate(zip(kinds, value, strict=True))
    )


def _words(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join("null" if each is NoneType else _words(each) for each in get_args(kind))
    if get_origin(kind) is tuple:
        first, *rest = get_args(kind)
        return f"a list, each item {_words(first)}" if rest == [...] else f"a list of {len(rest) + 1}"
    if is_dataclass(kind) and isinstance(kind, type):
        return f"a section of {', '.join(each.name for each in fields(kind))}"
    return WORDS.get(kind, "a section")
