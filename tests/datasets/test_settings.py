"""A section of a yaml as typed settings, and each dataset's settings as its yaml's twin."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from mmf_visualbert import catalog
from mmf_visualbert.datasets.paths import Files
from mmf_visualbert.datasets.settings import Part, read_settings
from mmf_visualbert.errors import InputError
from mmf_visualbert.places import MODEL_YAML
from mmf_visualbert.yaml_config import container, merge, read_yaml

catalog.import_parts()


@pytest.mark.parametrize("name", catalog.names("dataset"))
def test_each_yaml_has_a_twin_with_the_same_defaults(name):
    settings = catalog.dataset_settings(name)
    assert settings is not None, f"{name} is registered without settings"
    model = read_yaml(MODEL_YAML).config
    whole = merge(model, read_yaml(catalog.dataset_config(name)).config, {"env": {"data_dir": "."}})
    section = container(whole.dataset_config[name])
    assert set(section) == {each.name for each in fields(settings)}
    given, default = read_settings(settings, section, name), settings()
    for each in fields(settings):
        assert getattr(given, each.name) == getattr(default, each.name), each.name


@dataclass(frozen=True)
class Inner:
    share: float = 0.5
    name: str | None = None


@dataclass(frozen=True)
class Outer:
    count: int
    on: bool = True
    inner: Inner = Inner()
    files: Files = Files()
    size: tuple[int, int] = (1, 2)
    folder: Path = Path()
    most: int | None = 3
    part: Part | None = None
    parts: Mapping[str, Part | None] | None = None
    anything: Any = None


def read(**given):
    return read_settings(Outer, given, "dataset_config.x")


def test_values_get_their_types():
    whole = read(
        count=1,
        on=False,
        inner={"share": 1, "name": "a"},
        files={"train": "one", "val": ["two", Path("three")], "test": None},
        size=[3, 4],
        folder="a/b",
        most=None,
        part={"type": "p"},
        parts={"a": None, "b": {}, "c": {"type": "q", "params": {"k": [1]}}},
        anything={"x": 1},
    )
    assert whole == Outer(
        1,
        False,
        Inner(1.0, "a"),
        Files(("one",), ("two", "three"), ()),
        (3, 4),
        Path("a/b"),
        None,
        Part("p"),
        {"a": None, "b": None, "c": Part("q", {"k": [1]})},
        {"x": 1},
    )
    assert type(whole.inner.share) is float
    assert read(count=1, inner=None, files=None) == Outer(1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, r"x\.count is left out; set it to a whole number"),
        ({"count": None}, r"x\.count is left out; set it to a whole number"),
        ({"count": "many"}, r"x\.count is 'many'; set it to a whole number"),
        ({"count": True}, r"x\.count is True; set it to a whole number"),
        ({"count": 1.0}, r"x\.count is 1\.0; set it"),
        ({"count": 1, "on": "yes"}, r"x\.on is 'yes'; set it to true or false"),
        ({"count": 1, "onn": True}, r"dataset_config\.x has the unknown key 'onn'; it takes count, on, inner"),
        ({"count": 1, "inner": {"shares": 1}}, r"x\.inner has the unknown key 'shares'; it takes share, name"),
        ({"count": 1, "inner": {"share": "half"}}, r"x\.inner\.share is 'half'; set it to a number"),
        ({"count": 1, "inner": [1]}, r"x\.inner is \[1\]; set it to a section of share, name"),
        ({"count": 1, "files": {"train": [1]}}, r"x\.files\.train\[0\] is 1; set it to a text"),
        ({"count": 1, "files": {"train": 1}}, r"x\.files\.train is 1; set it to a list, each item a text"),
        ({"count": 1, "size": [1]}, r"x\.size is \[1\]; set it to a list of 2"),
        ({"count": 1, "size": [1, "b"]}, r"x\.size\[1\] is 'b'; set it to a whole number"),
        ({"count": 1, "folder": None}, r"x\.folder is left out; set it to a path"),
        ({"count": 1, "most": "all"}, r"x\.most is 'all'; set it to a whole number or null"),
        ({"count": 1, "part": {"params": {}}}, r"x\.part\.type is left out; set it to a text"),
        ({"count": 1, "parts": {"a": "b"}}, r"x\.parts\.a is 'b'; set it to a section of type, params or null"),
    ],
)
def test_what_does_not_fit_is_named(given, says):
    with pytest.raises(InputError, match=says):
        read(**given)
