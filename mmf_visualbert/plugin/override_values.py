"""The value of one override: its text read as yaml, and given the type that its key has."""

from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import BaseLoader, YAMLError, load

from mmf_visualbert.catalog import IN_WORDS
from mmf_visualbert.errors import InputError
from mmf_visualbert.yaml_config import container

NULLS = ("null", "Null", "NULL", "~", "None")  # yaml's, and MMF's own
TYPES = (bool, int, float, str, list, dict)
WANTED = {**IN_WORDS, list: "a list", dict: "a section of keys"}
# How a text begins that is meant to be yaml's, and not what it looks like.
YAML_MARKS = tuple("[{\"'")


def read_value(text: str, default: Any, declared: type | None, word: str) -> Any:
    """What a text says, as a value of the type that its key has.

    Args:
        text: not empty.
        default: a value of that type; None where there is none.
        declared: the type, where there is no default; None for any, as yaml has it.
        word: what errors call it: the whole of it, with its key.

    Raises:
        InputError: for text that is no such value.
    """
    if text in NULLS:
        return None
    wanted = declared if default is None else type_of(default)
    if wanted is not list:
        return fit(_scalar(text, wanted, word), wanted, word)
    inner = next((type_of(entry) for entry in default or () if entry is not None), None)
    if text[0] == "(" and text[-1] == ")":  # as Python writes it, which MMF reads too
        text = f"[{text[1:-1]}]"
    entries = read_list(text, word, texts=inner is str) if text[0] == "[" else [_scalar(text, inner, word)]
    return [fit(entry, inner, word) for entry in entries]


def fit(value: Any, wanted: type | None, word: str) -> Any:
    """What yaml read, as a value of the wanted type; an interpolation may become any.

    Raises:
        InputError: for one of another type.
    """
    if value is None or wanted is None or (isinstance(value, str) and "${" in value):
        return value
    if wanted is bool and type(value) is int and value in (0, 1):
        return bool(value)
    if wanted is int and type(value) is float and value.is_integer():
        return int(value)
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is str and type(value) in (bool, int, float):
        return str(value)
    if wanted is list and not isinstance(value, list):
        return [value]
    if not isinstance(value, wanted) or type_of(value) is not wanted:
        raise InputError(f"{word}: {WANTED[wanted]} is wanted there; correct the value")
    return value


def type_of(value: Any) -> type:
    """Which of yaml's types a plain value has."""
    return next(kind for kind in TYPES if isinstance(value, kind))


def read_list(text: str, word: str, texts: bool = False) -> list[Any]:
    """A list in yaml.

    Args:
        text: of the list.
        word: what errors call it.
        texts: the entries as they are written, and not as yaml would read them.

    Raises:
        InputError: where it is none.
    """
    try:
        value = load(text, Loader=BaseLoader) if texts else read_yaml(text, word)
    except YAMLError as error:
        raise no_yaml(word, error) from error
    if not isinstance(value, list):
        raise InputError(f"{word}: a list is wanted there; write [a, b]")
    return value


def read_yaml(text: str, word: str) -> Any:
    """What yaml reads in a text, in the dialect in which omegaconf reads files.

    Raises:
        InputError: where it is meant to be yaml, or an interpolation, and is none.
    """
    try:
        return container(OmegaConf.from_dotlist([f"value={text}"]), resolve=False)["value"]
    except (YAMLError, OmegaConfBaseException, ValueError) as error:
        if text.startswith(YAML_MARKS) or "${" in text:
            raise no_yaml(word, error) from error
        return text


def no_yaml(word: str, error: Exception) -> InputError:
    """The sentence for a value that does not parse."""
    said = " ".join(str(error).split("\n")[0].split())
    return InputError(f"{word}: its value is no valid yaml ({said}); correct it, or put it into quotes")


def _scalar(text: str, wanted: type | None, word: str) -> Any:
    """The text itself where a text is wanted, else what yaml reads in it."""
    if text[0] in "\"'":
        return read_yaml(text, word)
    value = read_yaml(text, word) if wanted is not str or "${" in text else text
    return text if isinstance(value, str) else value  # with what yaml takes for a comment
