"""What the values of a model's configuration may be: said by their keys, before torch says it by its own functions."""

from collections.abc import Mapping
from typing import Any

from mmf_visualbert.catalog import IN_WORDS, TAKEN
from mmf_visualbert.errors import InputError

KEY = "model_config.visualbert"
WORDS = {**IN_WORDS, dict: "a section of the model's sizes"}
SIZES: dict[str, type] = {
    "vocab_size": int,
    "hidden_size": int,
    "num_hidden_layers": int,
    "num_attention_heads": int,
    "intermediate_size": int,
    "max_position_embeddings": int,
    "initializer_range": float,
}
KINDS: dict[str, type] = {
    "random_init": bool,
    "hide_regions": bool,
    "gradient_checkpointing": bool,
    "region_dimension": int,
    "dropout": float,
    "bert": str,
    "size": dict,
}
MAY_BE_NULL = ("dropout", "bert", *SIZES)


def check_model_values(config: Mapping[str, Any]) -> None:
    """Refuses switches, sizes and rates of a model that are of another type, or that no model can have.

    Args:
        config: `model_config.visualbert`, plain; keys that it lacks, and what refers to other keys, are passed over.

    Raises:
        InputError: naming the key.
    """
    _check(config, KINDS, KEY)
    size = config.get("size", {})
    _check(size, SIZES, f"{KEY}.size")
    dropout, spread = config.get("dropout"), size.get("initializer_range")
    if isinstance(dropout, int | float) and not 0 <= dropout < 1:
        raise InputError(f"{KEY}.dropout is {dropout}; set it to a share from 0 to below 1")
    if isinstance(spread, int | float) and not 0 < spread < 100:
        raise InputError(f"{KEY}.size.initializer_range is {spread}; set it to a deviation above 0, such as 0.02")
    width, heads = size.get("hidden_size"), size.get("num_attention_heads")
    if isinstance(width, int) and isinstance(heads, int) and width % heads:
        raise InputError(f"{KEY}.size.hidden_size is {width}, no multiple of num_attention_heads {heads}; make it one")


def _check(section: Mapping[str, Any], kinds: Mapping[str, type], where: str) -> None:
    for key, kind in kinds.items():
        value = section.get(key)
        if key not in section or (value is None and key in MAY_BE_NULL) or (isinstance(value, str) and "${" in value):
            continue
        if not isinstance(value, TAKEN.get(kind, kind)) or (isinstance(value, bool) and kind is not bool):
            raise InputError(f"{where}.{key} is {'null' if value is None else repr(value)}; set it to {WORDS[kind]}")
        if isinstance(value, int) and kind is int and value < 1:
            raise InputError(f"{where}.{key} is {value}; set it to 1 or more")
