"""How repairs look whether they are needed: at the code that is installed, never at its version."""

import importlib.util
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any


def mentions(function: Callable[..., Any], *words: str) -> bool:
    """Whether a function's own code has all of these among its names, its keywords and its strings.

    Of a function that a repair has wrapped, the code within is looked at, and of one not written in Python none.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and set(words) <= set(_words(code))


def _words(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _words(constant)
        elif isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple):  # keywords of a call
            yield from (word for word in constant if isinstance(word, str))


def source(function: Callable[..., Any]) -> str:
    """A function's source with each run of blanks as one; empty where there is none to read."""
    try:
        return " ".join(inspect.getsource(inspect.unwrap(function)).split())
    except (OSError, TypeError):
        return ""


def text_of(package: str, file: str) -> str:
    """The text of a file of a package, which is not imported; empty where there is none.

    Args:
        package: name of an outermost package, such as "mmf".
        file: path within it.
    """
    folder = folder_of(package)
    if folder is None or not (folder / file).is_file():
        return ""
    return (folder / file).read_text(encoding="utf-8")


def folder_of(package: str) -> Path | None:
    """The folder of a package, which is not imported; None where there is none, or where something hides it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
