"""The state of a pickle that is being read: its stack, its memo, and what it may still take."""

from collections.abc import Callable, Sequence
from typing import Any

from mmf_visualbert.unpickle.arrays import Budget, Pending, RefusedError
from mmf_visualbert.unpickle.limits import check_result

LONGEST_NAME = 256  # bytes, and of other strings that a pickle may repeat as often as it likes
_NOTHING = object()


class CutOffError(Exception):
    """The pickle ends before its last instruction."""


class Machine:
    """Runs one pickle.

    Each instruction is a function of the machine and the place after its code, which gives the place of the next one.

    Args:
        raw: the pickle; what comes after its end is not looked at.
    """

    __slots__ = ("_text", "below", "budget", "end", "memo", "raw", "stack")

    def __init__(self, raw: bytes | memoryview) -> None:
        self.raw, self.end = raw, len(raw)
        self.stack: list[Any] = []  # since the last mark
        self.below: list[list[Any]] = []  # the stacks before each mark
        self.memo: list[Any] = []
        self.budget = Budget(self.end)
        self._text: bytes | None = None

    def run(self, instructions: "Sequence[Instruction]") -> Any:
        """What the pickle holds.

        Args:
            instructions: by their codes.

        Raises:
            RefusedError: where it asks for what data do not need.
            CutOffError, and what Python raises: where it is damaged.
        """
        raw, place = self.raw, 0
        while place >= 0:
            if place >= self.end:
                raise CutOffError
            place = instructions[raw[place]](self, place + 1)
        return check_result(self.stack[-1], 4 * self.end + (1 << 20))

    def take(self, place: int, length: int) -> bytes:
        """`length` bytes from `place` on."""
        if place + length > self.end:
            raise CutOffError
        return bytes(self.raw[place : place + length])

    def line(self, place: int, longest: int = 1 << 62) -> tuple[bytes, int]:
        """The bytes up to the next line end, and the place after it."""
        near = bytes(self.raw[place : place + LONGEST_NAME])
        end = near.find(b"\n") + place
        if end < place:
            if self._text is None:
                self._text = bytes(self.raw)
            end = self._text.find(b"\n", place)
        if end < 0:
            raise CutOffError
        if end - place > longest:
            raise RefusedError("holds a name or number that is far too long")
        return bytes(self.raw[place:end]), end + 1

    def push(self, value: Any, place: int) -> int:
        """Puts a value on the stack."""
        self.stack.append(value)
        return place

    def pop_mark(self) -> list[Any]:
        """The values since the last mark."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def remember(self, index: int, value: Any) -> None:
        """Keeps a value in the memo."""
        gap = index - len(self.memo)
        if gap >= 0:  # picklers count from 0 or from 1, and an optimized pickle leaves out some
            self.budget.spend(8 * gap)
            self.memo.extend([_NOTHING] * (gap + 1))
        self.memo[index] = value
        if isinstance(value, Pending):
            value.places.append(index)

    def recall(self, value: Any) -> Any:
        """A value of the memo, after a check that it may stand in one more place."""
        kind = type(value)
        if kind is str or kind is bytes:
            if len(value) > LONGEST_NAME:
                self.budget.spend(len(value))
        elif isinstance(value, Pending) or value is _NOTHING:
            raise RefusedError("refers to an array that is not filled yet")
        return value


Instruction = Callable[[Machine, int], int]
