"""What happens to files: values that programs write in place of others, and bytes that disks and downloads lose."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ODD: list[Any] = [
    *(None, True, False, 0, -1, 2, 123.7, 1e308, -1e308, float("nan"), float("inf"), 5e-324),
    *(1 << 31, 1 << 63, (1 << 63) - 1, -(1 << 63) - 1, 1 << 64, 10**30),
    *(
        "",
        " ",
        "x",
        "²",
        "7",
        "1e400",
        "nan",
        "\ud83d",
        "\U0001f600",
        "\0",
        "../../x",
        "/etc/passwd",
        "a\nb",
        "x" * 5000,
    ),
    *([], {}, [[]], [None], [1, 2], {"a": 1}, [[1, 2, 3]], [["x"]], [[0, 0, 1, 1]] * 3),
]
ODD_BYTES = [
    b"",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b"\r\n",
    b"\t",
    b'"',
    b"[" * 5000,
    b"1" * 5000,
    b"\xed\xa0\xbd",
]
ODD_BYTES += [b"NaN", b"-1", b"1e999", b"<html>", b"]]", b"{}", b"\x80", b"\x1f\x8b", "²".encode(), b"\\ud83d"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value within a value."""
    yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from places(one, (*path, number))


@st.composite
def odd_values(draw: st.DrawFn, value: Any, edits: int = 2) -> Any:
    """A value in which one or two values are others, left out, or there twice."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, edits))):
        path = draw(st.sampled_from(list(places(value))))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                return draw(st.sampled_from(ODD))
            continue
        inside = value
        for step in path[:-1]:
            inside = inside[step]
        action = draw(st.sampled_from(("odd", "odd", "odd", "gone", "twice")))
        if action == "odd":
            inside[path[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif action == "gone":
            del inside[path[-1]]
        elif isinstance(inside, list):
            inside.append(copy.deepcopy(inside[path[-1]]))
    return value


def as_json(value: Any) -> bytes:
    """A value as a json file: half an emoji escaped, as only that can be."""
    return json.dumps(value).encode()


def as_lines(value: Any) -> bytes:
    """The elements of a list as JSON lines."""
    return b"".join(as_json(one) + b"\n" for one in value) if isinstance(value, list) else as_json(value)


@st.composite
def odd_bytes(draw: st.DrawFn, raw: bytes, edits: int = 3) -> bytes:
    """Bytes of which some are others, left out, put in, or lost at the end."""
    for _ in range(draw(st.integers(1, edits))):
        place = draw(st.integers(0, len(raw)))
        action = draw(st.sampled_from(("cut", "flip", "put", "drop", "move")))
        if action == "cut":
            raw = raw[:place]
        elif action == "flip":
            raw = raw[:place] + bytes([draw(st.integers(0, 255))]) + raw[place + 1 :]
        elif action == "put":
            raw = raw[:place] + draw(st.sampled_from(ODD_BYTES)) + raw[place:]
        elif action == "drop":
            raw = raw[:place] + raw[place + draw(st.integers(1, 40)) :]
        else:
            other = draw(st.integers(0, len(raw)))
            raw = raw[:place] + raw[other : other + 16] + raw[place:]
    return raw
