"""Small helpers: seeded streams of random numbers, and files in the forms that the official sets use."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A random stream of its own for these names, so that one part of the world never shifts another."""
    return np.random.default_rng([seed, *(name if isinstance(name, int) else crc32(name.encode()) for name in names)])


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text into the folder that is made as a whole, its own folder too where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes one json value."""
    write_text(path, json.dumps(value))


def write_json_lines(path: Path, values: Iterable[Any]) -> int:
    """Writes one json value a line; gives their number."""
    lines = [json.dumps(value) for value in values]
    write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)
