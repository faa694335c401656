"""Configurations: yaml files with all that they include, and sections of them as plain containers."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

from mmf_visualbert.compat.probes import folder_of
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_text, require
from mmf_visualbert.places import find_config

MOST_NODES = 1_000_000
REFERENCE = re.compile(r"\$\{\s*([^${}:]+?)\s*\}")


class Included(NamedTuple):
    """A yaml file with all that it includes.

    Attributes:
        config: all of it merged; where two have a key, the includes come in their order, and the file itself last.
        files: the file itself, then each include, followed by its own.
    """

    config: DictConfig
    files: list[Path]


def read_yaml(path: Path) -> Included:
    """Reads a yaml file and what it includes, as MMF reads it.

    `includes` is a list of files. Each is looked for below the folder of the package mmf, then from the folder of the
    file that includes it; below `projects/visualbert` also in the working folder and in this package.

    Args:
        path: of the file; one below `projects/visualbert` may be this package's.

    Raises:
        InputError: for a file that is missing, empty or no yaml, `includes` that is no list, or a file that includes
            itself.
    """
    found = require(find_config(path))
    read = _read(found, ())
    refuse_references(OmegaConf.to_container(read.config, resolve=False), str(found))
    return read


def _read(path: Path, above: tuple[Path, ...]) -> Included:
    path = path.resolve()
    if path in above:
        chain = " -> ".join(file.name for file in (*above[above.index(path) :], path))
        raise InputError(f"{path} includes itself ({chain}); take one of these includes out")
    refuse_expansion(path)
    try:
        own = with_home(merge(OmegaConf.load(path)))
    except Exception as error:  # yaml's and omegaconf's errors have no base in common
        raise InputError(f"{path} is not readable as yaml ({error}); correct it") from error
    names = own.pop("includes", OmegaConf.create([]))
    if not isinstance(names, ListConfig):
        raise InputError(f"{path} has includes: {names}; write a list of yaml files")
    included = [_read(_find(str(name), path), (*above, path)) for name in names]
    files = [path, *(file for each in included for file in each.files)]
    # Includes are merged with each other first, as MMF does: it matters where one sets a section to null.
    return Included(merge(merge({}, *(each.config for each in included)), own), files)


def refuse_expansion(path: Path) -> None:
    """Refuses a yaml whose aliases stand for more than any configuration holds, before they are written out.

    Raises:
        InputError: naming the file.
    """
    text = read_text(path)
    if "&" not in text:  # what an alias stands for has to be marked so; most files are not parsed for this
        return
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return  # who reads it says so
    sizes: dict[int, float] = {}

    def size(node: Any) -> float:
        if id(node) not in sizes:
            sizes[id(node)] = math.inf  # until it is known; one that holds itself never ends
            value = node.value if isinstance(node.value, list) else []
            parts = [part for one in value for part in (one if isinstance(one, tuple) else (one,))]
            sizes[id(node)] = 1 + sum(map(size, parts))
        return sizes[id(node)]

    if root is not None and size(root) > MOST_NODES:
        raise InputError(f"{path} stands for more than {MOST_NODES:,} values by its aliases; write them out, or fewer")


def refuse_references(config: Any, where: str) -> None:
    """Refuses a configuration whose `${references}` are followed more often than any needs, before they are.

    Args:
        config: plain, references as they are written.
        where: what the error calls it.

    Raises:
        InputError: naming it.
    """
    followed: dict[tuple[str, ...], float] = {}

    def steps(at: tuple[str, ...]) -> float:
        if at not in followed:
            followed[at] = 1  # one that leads to itself is omegaconf's to refuse
            value = _at(config, at)
            if isinstance(value, str) and "${" in value:
                followed[at] = 1 + sum(steps(_target(name, at)) for name in REFERENCE.findall(value))
            elif isinstance(value, Mapping | list):
                keys = map(str, value if isinstance(value, Mapping) else range(len(value)))
                followed[at] = 1 + sum(steps((*at, key)) for key in keys)
        return followed[at]

    try:
        many = steps(()) > MOST_NODES
    except RecursionError:
        many = True
    if many:
        raise InputError(f"{where} follows more than {MOST_NODES:,} references; write values in their place")


def _target(name: str, at: tuple[str, ...]) -> tuple[str, ...]:
    """Where a reference leads: `a.b[0]` from the root, `.b` beside the place where it stands, `..b` one further up."""
    up = len(name) - len(name.lstrip("."))
    path = tuple(part for part in re.split(r"[.\[\]]", name) if part)
    return (*at[: len(at) - up], *path) if up else path


def _at(config: Any, at: tuple[str, ...]) -> Any:
    """What stands at a place; None for nothing."""
    for key in at:
        if isinstance(config, list) and key.isdigit() and int(key) < len(config):
            config = config[int(key)]
        elif isinstance(config, Mapping):
            config = config.get(key, config.get(int(key)) if key.isdigit() else None)
        else:
            return None
    return config


def _find(name: str, includer: Path) -> Path:
    mmf = folder_of("mmf")
    if mmf is not None and (mmf / name).exists():
        return mmf / name
    found = find_config(includer.parent / name)
    if not found.is_file():
        raise InputError(f"{found} does not exist; {includer} includes it: correct the path there, or put the file in")
    return found


def at_home(value: Any) -> Any:
    """A text, or all texts of plain containers, with the user's folder in place of a `~/` at the beginning.

    A shell leaves `key=~/data` as it is, and a folder of the name `~` is nobody's wish.
    """
    if isinstance(value, Mapping):
        return {key: at_home(each) for key, each in value.items()}
    if isinstance(value, list):
        return [at_home(each) for each in value]
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~/") else value


def with_home(config: Any) -> Any:
    """A configuration of omegaconf with the user's folder in place of `~/` at the beginning of its texts."""
    return OmegaConf.create(at_home(OmegaConf.to_container(config, resolve=False)))


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
