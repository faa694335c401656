"""Whatever a file holds, a reader reads it or says in one sentence what is wrong: nothing else comes out.

Each reader is given a few dozen files here, always the same. `FUZZ=2000 pytest tests/fuzz` gives each so many, new ones
at each run, and prints how many were read and refused.
"""

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmf_visualbert.errors import LONGEST, InputError
from tests.fuzz.more_readers import MORE
from tests.fuzz.mutations import odd_bytes, odd_values
from tests.fuzz.readers import READERS, Reader

ALL = {**READERS, **MORE}

LONG = int(os.environ.get("FUZZ", "0"))
seen: Counter[str] = Counter()


def spoilt(reader: Reader) -> st.SearchStrategy[bytes]:
    """Files of a reader's kind with something wrong in them, most of them."""
    raw = odd_bytes(reader.bytes(reader.good))
    if reader.write is None:
        return raw
    return st.one_of(odd_values(reader.good).map(reader.bytes), raw)


def spoil(reader: Reader, folder: Path, content: bytes) -> None:
    """Writes a file, and what has to lie beside it."""
    for name, other in reader.beside.items():
        (folder / name).write_bytes(other)
    (folder / reader.file).write_bytes(content)


def attempt(reader: Reader, folder: Path, content: bytes) -> str:
    """Reads a file; whether it was taken."""
    spoil(reader, folder, content)
    try:
        reader.read(folder)
    except InputError as error:
        said = str(error)
        assert "\n" not in said and len(said) <= LONGEST + 20, said
        return "refused"
    return "read"


@pytest.mark.parametrize("name", ALL)
def test_good_files_are_read(name, tmp_path):
    reader = ALL[name]
    if name.startswith(("checkpoint", "submission")):
        pytest.skip("needs a whole model, or all of a split")
    spoil(reader, tmp_path, reader.bytes(reader.good))
    reader.read(tmp_path)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("ignore")
def test_only_sentences_come_out(name):
    reader = ALL[name]

    @settings(
        max_examples=LONG or (6 if name in MORE else 15),  # a process each
        deadline=None,
        derandomize=not LONG,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(spoilt(reader))
    def each(content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            seen[attempt(reader, Path(folder), content)] += 1

    each()
    if LONG:
        print(f"{name}: {dict(seen)} of all readers until now")
