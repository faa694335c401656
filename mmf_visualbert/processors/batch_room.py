"""Room for what is large in the samples of a batch, in one piece: it is written to its place in the batch, once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from mmf_visualbert.errors import InputError

LARGE = 1 << 16  # bytes of a sample's tensor from which on it matters where its batch lies

Allocate = Callable[[tuple[int, ...], torch.dtype], Tensor]


def anywhere(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """An empty tensor."""
    return torch.empty(shape, dtype=dtype)


class BatchRoom:
    """Room for one tensor of each sample: the rows of a tensor, in the order in which they are asked for.

    Args:
        samples: B, how many there will be.
        allocate: makes the tensor of a batch.
    """

    def __init__(self, samples: int, allocate: Allocate = anywhere) -> None:
        self.samples = samples
        self.allocate = allocate
        self.given = 0
        self._whole: Tensor | None = None

    def next(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The next sample's room; room of its own for what is unlike the first, or comes after the last."""
        if self._whole is None:
            self._whole = self.allocate((self.samples, *shape), dtype)
        whole, row = self._whole, self.given
        self.given += 1
        fits = row < self.samples and whole.shape[1:] == shape and whole.dtype == dtype
        return whole[row] if fits else anywhere(shape, dtype)

    def stacked(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Samples as one batch: (B, ...) of each tensor, the same of mappings within, a list of anything else.

        Raises:
            InputError: naming what one sample has otherwise than the first.
        """
        names = samples[0].keys()
        try:
            if any(sample.keys() != names for sample in samples):
                raise KeyError
            return {name: self._stacked([sample[name] for sample in samples]) for name in names}
        except (KeyError, RuntimeError, AttributeError):
            refuse_unlike(samples)
            raise

    def _stacked(self, values: list[Any]) -> Any:
        first = values[0]
        if isinstance(first, Mapping):
            return self.stacked(values)
        if not isinstance(first, Tensor):
            return values
        if self._whole is not None and self._are_its_rows(values, self._whole):
            return self._whole
        if any(value.dtype != first.dtype for value in values):  # as features of two stores may be
            values = [value.to(first.dtype) for value in values]
        if first.nbytes < LARGE:
            return torch.stack(values)
        return torch.stack(values, out=self.allocate((len(values), *first.shape), first.dtype))

    @staticmethod
    def _are_its_rows(values: list[Tensor], whole: Tensor) -> bool:
        first = whole.data_ptr()
        step = whole.stride(0) * whole.element_size()
        return len(values) == len(whole) and all(
            value.data_ptr() == first + number * step
            and value.shape == whole.shape[1:]
            and value.dtype == whole.dtype
            and value.is_contiguous()
            for number, value in enumerate(values)
        )


class RoomySamples(list[Mapping[str, Any]]):
    """The samples of a batch as a list, which any collation takes, whose tensors lie in one room.

    Args:
        samples: in the order in which they asked for it.
        room: theirs.
    """

    def __init__(self, samples: Iterable[Mapping[str, Any]], room: BatchRoom) -> None:
        super().__init__(samples)
        self.room = room

    def whole(self) -> dict[str, Any]:
        """The batch, as `BatchRoom.stacked` gives it."""
        return self.room.stacked(self)


def refuse_unlike(samples: Sequence[Mapping[str, Any]]) -> None:
    """Raises InputError where a sample has another field than the first, or a tensor of another shape."""
    first, *others = ({name: _shape(value) for name, value in sample.items()} for sample in samples)
    for sample, shapes in zip(samples[1:], others, strict=True):
        if shapes != first:
            name = next(name for name in {**first, **shapes} if first.get(name) != shapes.get(name))
            raise InputError(
                f"'{name}' is {_said(shapes, name)} in {_named(sample)} and {_said(first, name)} in "
                f"{_named(samples[0])} of the same batch; have the data set give all samples tensors of one shape"
            )


def _shape(value: Any) -> tuple[int, ...] | str:
    return tuple(value.shape) if isinstance(value, Tensor) else "no tensor"


def _said(shapes: Mapping[str, tuple[int, ...] | str], name: str) -> str:
    return f"{shapes[name]}" if name in shapes else "missing"


def _named(sample: Mapping[str, Any]) -> str:
    number = sample.get("id")
    return f"sample {int(number)}" if isinstance(number, Tensor) and number.numel() == 1 else "a sample"


_current: ContextVar[BatchRoom | None] = ContextVar("batch_room", default=None)


@contextmanager
def batch_room(samples: int, allocate: Allocate = anywhere) -> Iterator[BatchRoom]:
    """Within it, `room_of_sample` gives room in one batch of so many samples."""
    room = BatchRoom(samples, allocate)
    before = _current.set(room)
    try:
        yield room
    finally:
        _current.reset(before)


def room_of_sample(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """An empty tensor for what is large in a sample: its place in the batch that is being made, if one is."""
    room = _current.get()
    return anywhere(shape, dtype) if room is None else room.next(shape, dtype)
