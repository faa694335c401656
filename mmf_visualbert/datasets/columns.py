"""Many strings in two arrays: a tenth of the memory of Python's own, shared by forked workers without copies."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class _Encoded(NamedTuple):
    """Strings in UTF-8 one after the other, and the bytes that each takes."""

    text: bytes
    lengths: np.ndarray


def _encoded(strings: Iterable[str]) -> _Encoded:
    parts = list(strings)
    text = "".join(parts)
    # A character of ASCII is one byte.
    each = parts if text.isascii() else [part.encode("utf-8", "surrogatepass") for part in parts]
    lengths = np.fromiter(map(len, each), dtype=np.int64, count=len(each))
    return _Encoded(text.encode("utf-8", "surrogatepass"), lengths)


class StringParts:
    """Strings that come in parts: each is put away as it comes."""

    def __init__(self) -> None:
        self._parts: list[_Encoded] = []

    def add(self, strings: Iterable[str]) -> None:
        """Puts some away."""
        self._parts.append(_encoded(strings))

    def whole(self) -> "Strings":
        """All of them."""
        made = Strings(())
        made.bytes = np.frombuffer(b"".join(part.text for part in self._parts), dtype=np.uint8)
        made.ends = np.cumsum(np.concatenate([[0], *(part.lengths for part in self._parts)]), dtype=np.int64)
        return made


class Strings:
    """A read-only sequence of strings.

    Args:
        strings: what to keep.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        kept = _encoded(strings)
        self.bytes = np.frombuffer(kept.text, dtype=np.uint8)
        self.ends = np.cumsum(np.concatenate([[0], kept.lengths]), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.bytes[self.ends[index] : self.ends[index + 1]].tobytes().decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        text, ends = self.bytes.data, self.ends.tolist()
        return (str(text[start:end], "utf-8", "surrogatepass") for start, end in pairwise(ends))

    def most_pieces(self, longest_decomposition: int = 4) -> np.ndarray:
        """(len,) int64, an upper bound of each string's word pieces.

        A piece has a character at least. An ASCII character stays one; of another, which is two bytes or
        more in UTF-8, Unicode's decomposition makes four at most, or what the tokenizer says.
        """
        foreign = np.flatnonzero(self.bytes > 127)
        more_of_a_byte = (longest_decomposition + 1) // 2 - 1
        return np.diff(self.ends) + more_of_a_byte * np.diff(np.searchsorted(foreign, self.ends))


class RepeatedStrings:
    """A read-only sequence of strings of which many are equal, each kept once.

    Args:
        different: the strings.
        places: (N,) int, of each element.
    """

    def __init__(self, different: Strings, places: np.ndarray) -> None:
        self.different = different
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> str:
        return self.different[int(self.places[index])]

    def __iter__(self) -> Iterator[str]:
        strings = list(self.different)
        return (strings[place] for place in self.places.tolist())

    def first_places(self) -> dict[str, int]:
        """Each of the different strings that are there, and where it stands first."""
        different, first = np.unique(self.places, return_index=True)
        strings = list(self.different)
        return {strings[place]: index for place, index in zip(different.tolist(), first.tolist(), strict=True)}
