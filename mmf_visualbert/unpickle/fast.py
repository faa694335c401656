"""The usual pickles, by Python's own unpickler: ten times as fast as our machine, which is the readable twin.

A pickle is usual where it consists of instructions for text, numbers, lists, dicts and few of the rest. Then nothing in
it can harm Python's unpickler (tuples in tuples need many instructions, and places of the memo lie close together), and
what numpy would do is done by stand-ins.
"""

import functools
import io
import pickle
import re
import struct
from typing import Any, NamedTuple

from mmf_visualbert.unpickle.arrays import Budget, Name, find
from mmf_visualbert.unpickle.limits import check_result

_STOP = ord(".")
_FRAME = 0x95
_NEXT_BUFFER = b"\x97"
_MANY = 1000  # instructions in one step of the scan
_RICH_STEPS = 16  # of these, those that may have tuples and calls
_LARGE = 1024  # bytes that are taken out of the pickle and handed over as they are
# Instructions for text or bytes of any length: the form of the length, and whether it is bytes.
_LENGTHS = {
    ord("B"): (struct.Struct("<I"), True),
    0x8E: (struct.Struct("<Q"), True),
    0x96: (struct.Struct("<Q"), True),
    ord("X"): (struct.Struct("<I"), False),
    0x8D: (struct.Struct("<Q"), False),
}


class Usual(NamedTuple):
    """A pickle for Python's unpickler.

    Attributes:
        raw: its instructions.
        buffers: what was taken out of it, in order.
    """

    raw: bytes
    buffers: list[bytes]


def _of_length(tail: bytes, longest: int = 255) -> bytes:
    """A pattern of a length in one byte, `tail`, and as many bytes."""
    return b"(?:" + b"|".join(re.escape(bytes([n])) + tail + b".{%d}" % n for n in range(longest + 1)) + b")"


@functools.lru_cache(maxsize=64)
def _patterns(bits: int) -> tuple["re.Pattern[bytes]", "re.Pattern[bytes]"]:
    """Patterns of instructions, with and without tuples and calls, for a pickle of up to 2 ** bits bytes.

    The number of bits bounds the places of the memo that the pickle may name.
    """
    low, top = divmod(min(bits, 32), 8)
    place = b"." * low + (b"[\\x00-%b]" % re.escape(bytes([(1 << top) - 1])) if low < 4 else b"")
    put = b"r" + place + b"\0" * (3 - low)
    plain = [
        rb"\x8c" + _of_length(b""),
        rb"h.",
        b"C" + _of_length(b""),
        rb"j.{4}",
        b"X" + _of_length(rb"\x00\x00\x00"),
        rb"q.",
        put,
        rb"[\](}N\x88\x89)aesu]",
        rb"K.",
        rb"M..",
        rb"J.{4}",
        rb"G.{8}",
        rb"\x8a" + _of_length(b"", 9),
    ]
    rich = [rb"[\x85\x86\x87tRb0\x93]", rb"c[\w.]{1,80}\n\w{1,80}\n", rb"\x80[\x02-\x05]"]
    repeated = rb"\x94?(?:(?:%b)\x94?){0,%d}"  # the memo takes what was just made
    return (
        re.compile(repeated % (b"|".join([*plain, *rich]), _MANY), re.DOTALL),
        re.compile(repeated % (b"|".join(plain), _MANY), re.DOTALL),
    )


def usual(raw: bytes | memoryview) -> Usual | None:
    """The pickle for Python's unpickler, or None where only our machine may read it."""
    rich, plain = _patterns(len(raw).bit_length())
    size, place, rich_steps = len(raw), 0, 0
    cuts: list[tuple[int, int, bytes]] = []  # from, to, and what comes there
    buffers: list[bytes] = []
    while True:
        begin = place
        if rich_steps >= _RICH_STEPS // 2:
            place = _after(plain, raw, begin)
        if place == begin and rich_steps < _RICH_STEPS:
            rich_steps += 1
            place = _after(rich, raw, begin)
        if place >= size:
            return None
        code = raw[place]
        if code == _STOP:
            break
        if code in _LENGTHS:
            form, is_bytes = _LENGTHS[code]
            start = place + 1 + form.size
            end = start + form.unpack_from(raw, place + 1)[0] if start <= size else size + 1
            if end > size:
                return None
            if is_bytes and end - start >= _LARGE:
                cuts.append((place, end, _NEXT_BUFFER))
                buffers.append(bytes(raw[start:end]))
            place = end
        elif code == _FRAME:
            cuts.append((place, place + 9, b""))
            place += 9
        elif place == begin:
            return None
    whole = _cut(raw, place + 1, cuts) if buffers else bytes(raw)
    return Usual(whole, buffers) if _is_modest(whole) else None


def _after(pattern: "re.Pattern[bytes]", raw: bytes | memoryview, place: int) -> int:
    match = pattern.match(raw, place)
    return place if match is None else match.end()


def _cut(raw: bytes | memoryview, end: int, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """The pickle without what is handed over, and without its frames, which would no longer fit."""
    pieces: list[bytes | memoryview] = []
    done = 0
    for start, after, instead in cuts:
        pieces += [raw[done:start], instead]
        done = after
    return b"".join([*pieces, raw[done:end]])


def _is_modest(raw: bytes) -> bool:
    """Whether the pickle has no more containers than data need; each byte is counted that could make one."""
    return 4 * sum(raw.count(code) for code in (b"]", b"}", b")")) <= len(raw) + _LARGE


class _Unpickler(pickle.Unpickler):
    """Python's, over a pickle that is usual."""

    def __init__(self, pickled: Usual, budget: Budget) -> None:
        super().__init__(io.BytesIO(pickled.raw), encoding="latin1", buffers=pickled.buffers)
        self.budget = budget

    def find_class(self, module: str, name: str) -> Name:
        """What stands for a name."""
        return find(module, name, self.budget)


def load_usual(pickled: Usual, size: int) -> Any:
    """What the pickle holds.

    Args:
        pickled: of `usual`.
        size: bytes of the whole pickle.

    Raises:
        RefusedError, and what Python raises: where our machine has to read it, or to say what is wrong.
    """
    return check_result(_Unpickler(pickled, Budget(size)).load(), 4 * size + (1 << 20))
