"""The catalog of parts: every name once, with our prefix, and a helpful word where there is none."""

from pathlib import Path
from typing import Any, List, Optional, Union  # noqa: UP035 - as users write them

import pytest
from torch import nn

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    """A catalog of this test's own."""
    monkeypatch.setattr(catalog, "_parts", {kind: {} for kind in catalog.KINDS})
    monkeypatch.setattr(catalog, "_listeners", [])
    monkeypatch.setattr(catalog, "_complete", True)


def test_parts_are_found_under_their_kind_and_name():
    @catalog.register("loss", "visualbert_b")
    class B:
        pass

    @catalog.register("head", "visualbert_b")
    @catalog.register("loss", "visualbert_a")
    class A:
        pass

    assert catalog.get("loss", "visualbert_b") is B and catalog.get("head", "visualbert_b") is A
    assert catalog.names("loss") == ["visualbert_a", "visualbert_b"] and catalog.names("metric") == []


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("lose", "visualbert_a", "'lose' is not one of the kinds processor, dataset,"),
        ("loss", "cross_entropy", "the name 'cross_entropy' has to begin with 'visualbert_'"),
    ],
)
def test_bad_registrations(kind, name, message):
    with pytest.raises(ValueError, match=message):
        catalog.register(kind, name)


def test_a_name_is_given_once():
    def part():
        pass

    catalog.register("dataset", "visualbert_a")(part)
    catalog.register("dataset", "visualbert_a")(part)  # a module that is imported again
    with pytest.raises(ValueError, match=r"the dataset 'visualbert_a' is registered already, by .*part"):
        catalog.register("dataset", "visualbert_a")(lambda: None)
    assert catalog.get("dataset", "visualbert_a") is part


def test_what_is_not_there_says_what_is():
    with pytest.raises(InputError, match="there is no metric named 'visualbert_x'; available: none"):
        catalog.get("metric", "visualbert_x")
    for name in ("visualbert_b", "visualbert_a"):
        catalog.register("metric", name)(object)
    with pytest.raises(InputError, match=r"available: visualbert_a, visualbert_b$"):
        catalog.get("metric", "visualbert_x")


def test_a_module_without_keywords_of_its_own_is_built():
    class Loss(nn.Module):
        pass

    catalog.register("loss", "visualbert_a")(Loss)
    assert isinstance(catalog.build("loss", {"type": "visualbert_a"}), Loss)
    with pytest.raises(InputError):
        catalog.build("loss", {"type": "visualbert_a", "params": {"args": 1}})


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("share", "x", "'x'; set it to a number"),
        ("share", True, "True; set it to a number"),
        ("count", 1.5, "1.5; set it to a whole number"),
        ("count", None, "null; set it to a whole number"),
        ("most", [1], r"\[1\]; set it to a whole number"),
        ("on", 1, "1; set it to true or false"),
        ("name", 1, "1; set it to a text"),
        ("file", {"a": 1}, "{'a': 1}; set it to a text"),
    ],
)
def test_values_are_of_the_types_that_annotations_name(key, value, wanted):
    def part(
        share: float = 0.5,
        count: int = 1,
        most: int | None = None,
        on: bool = True,
        name: str = "",
        file: Path | str = "",
        sizes: list[int] | int = 1,
        anything: Any = None,
    ) -> dict[str, Any]:
        return {"share": share, "most": most, "file": file, "sizes": sizes, "anything": anything}

    catalog.register("processor", "visualbert_a")(part)
    with pytest.raises(InputError, match=f"the processor visualbert_a has {key}: {wanted}"):
        catalog.build("processor", {"type": "visualbert_a", "params": {key: value}})
    good = {"share": 1, "most": None, "file": Path("x"), "sizes": [1], "anything": {"x": "y"}}
    assert catalog.build("processor", {"type": "visualbert_a", "params": good}) == good
    catalog.require_types("processor", "visualbert_a", {"count": "${training.batch_size}"})


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        *((annotation, None) for annotation in (Optional[int], "typing.Optional[int]", Union[int, None])),  # noqa: UP007, UP045
        *((annotation, ["a"]) for annotation in (List[str], "Optional[List[str]]", "frozenset[str]")),  # noqa: UP006
        *((annotation, "auto") for annotation in ('bool | Literal["auto"]', 'Literal["int"]', "Callable[[int], int]")),
    ],
)
def test_annotations_of_other_kinds_ask_for_no_yaml_type(annotation, value):
    def part(key):
        return key

    part.__annotations__ = {"key": annotation}
    catalog.register("processor", "visualbert_a")(part)
    assert catalog.build("processor", {"type": "visualbert_a", "params": {"key": value}}) == value


def test_null_is_taken_where_it_is_the_default():
    def part(most: int = None, *, rate: float = None, count: int = 1):  # noqa: RUF013 - as users write it
        return most, rate

    catalog.register("processor", "visualbert_a")(part)
    given = {"most": None, "rate": None}
    assert catalog.build("processor", {"type": "visualbert_a", "params": given}) == (None, None)
    with pytest.raises(InputError, match="count: null; set it to a whole number"):
        catalog.build("processor", {"type": "visualbert_a", "params": {"count": None}})
