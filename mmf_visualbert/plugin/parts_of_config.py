"""Where a configuration names parts, as `{type: name, params: {...}}`. Plain containers in; MMF is not needed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError

Step = str | int
PLACES = (
    ("head", re.compile(r"model_config\.visualbert\.heads\[-?\d+\]")),
    ("loss", re.compile(r"model_config\.visualbert\.losses\[-?\d+\]")),
    ("region_encoder", re.compile(r"model_config\.visualbert\.region_encoder")),
    ("processor", re.compile(r"dataset_config\.[\w-]+\.processors\.[\w-]+")),
    ("metric", re.compile(r"evaluation\.metrics\[-?\d+\]")),
    ("optimizer", re.compile(r"optimizer")),
    ("scheduler", re.compile(r"scheduler")),
)
# Keywords that MMF or the model gives.
GIVEN = {"optimizer": ("params",), "scheduler": ("optimizer",), "region_encoder": ("region_dimension",)}


class NamedPart(NamedTuple):
    """A part that a configuration names.

    Attributes:
        where: its dotted key.
        kind: of the catalog.
        name: its `type`.
        params: its keywords.
    """

    where: str
    kind: str
    name: str
    params: Mapping[str, Any]


def dotted(steps: tuple[Step, ...]) -> str:
    """Keys and places in lists as they are written: `a.b[0].c`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def kind_at(steps: tuple[Step, ...]) -> str | None:
    """The kind of part that stands at a place of a configuration; None where none does."""
    where = dotted(steps)
    return next((kind for kind, place in PLACES if place.fullmatch(where)), None)


def check_parts(config: Mapping[str, Any]) -> None:
    """Refuses parts of ours that there are not, keys that a part does not take, and values of another type.

    What a part needs beside what is given here, whoever builds it says.

    Raises:
        InputError: naming the place, and what there is.
    """
    for part in named_parts(config):
        if not part.name.startswith(catalog.PREFIX):
            continue
        try:
            required = catalog.keywords(catalog.get(part.kind, part.name)).required
            beside = GIVEN.get(part.kind, ())
            catalog.require_keywords(part.kind, part.name, {*part.params, *required} - set(beside), beside)
            catalog.require_types(part.kind, part.name, part.params)
        except InputError as error:
            raise InputError(f"{part.where}: {error}") from error


def named_parts(config: Mapping[str, Any]) -> Iterator[NamedPart]:
    """All parts that a configuration names; those that it only refers to stand elsewhere."""
    for steps, section in _sections(config, ()):
        kind = kind_at(steps)
        if kind is None:
            continue
        if isinstance(section, str) and isinstance(steps[-1], int):
            yield NamedPart(dotted(steps), kind, section, {})
        elif isinstance(section, Mapping) and isinstance(section.get("type"), str):
            params = section.get("params") or {}
            yield NamedPart(dotted(steps), kind, section["type"], params if isinstance(params, Mapping) else {})


def _sections(node: Any, at: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Every place with what stands there, down to where parts are."""
    inner = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for step, value in inner:
        steps = (*at, step if isinstance(step, int) else str(step))
        yield steps, value
        if kind_at(steps) is None:
            yield from _sections(value, steps)
