"""Memory of batches that is used again as soon as nobody has the batch any more.

The system clears each page of new memory when it is first touched, which takes longer than reading regions into it.
"""

import math
import mmap
import os
import threading
import weakref
from collections.abc import Callable
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np
import torch
from torch import Tensor

LEAST = 1 << 20  # bytes of a batch from which on its memory is kept
MOST_UNUSED = 256 << 20  # bytes that are kept for batches to come

Allocate = Callable[[int], torch.UntypedStorage | None]


class _Piece:
    """Memory for one batch at a time; behind it a byte that is 1 while another process has it.

    Args:
        storage: of one byte more than the batches that it is for have at most.
    """

    def __init__(self, storage: torch.UntypedStorage) -> None:
        self.storage = storage
        self.bytes = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
        self.bytes[-1] = 0
        self._here: Callable[[], np.ndarray | None] = lambda: None

    @property
    def capacity(self) -> int:
        """Bytes that a batch may have."""
        return len(self.bytes) - 1

    @property
    def is_free(self) -> bool:
        """Nobody has a tensor in it: none of this process, and no process to which one was handed on."""
        return self._here() is None and not self.bytes[-1]

    def tensor(self, size: int) -> Tensor:
        """(size,) uint8, whose memory this is until the last of its views is gone."""
        array = self.bytes[:size]  # an object of its own, which torch's storage holds on to
        self._here = weakref.ref(array)
        return torch.from_numpy(array)

    def is_all_of(self, tensor: Tensor) -> bool:
        """Whether a tensor is the one that has it, whole, and was not handed on yet."""
        return (
            tensor.data_ptr() == self.storage.data_ptr()
            and not self.is_free
            and not self.bytes[-1]
            and tensor.is_contiguous()
            and tensor.nbytes == tensor.untyped_storage().nbytes()
        )

    def hand_on(self, tensor: Tensor) -> tuple[Any, ...]:
        """What is pickled of the tensor that has it: the file that both processes map."""
        file, size = self.storage._share_fd_cpu_()
        self.bytes[-1] = 1
        return of_another, (DupFd(file), size, tensor.nbytes, tensor.dtype, tuple(tensor.shape))


class KeptMemory:
    """Tensors for batches, in memory of those before that are gone.

    Args:
        allocate: makes memory of so many bytes, None where there is none left.
    """

    def __init__(self, allocate: Allocate) -> None:
        self.allocate = allocate
        self._pieces: list[_Piece] = []
        self._taking = threading.Lock()

    def tensor(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor | None:
        """An empty tensor; None where there is no memory for it.

        Its memory is another's as soon as this tensor and all its views are gone, here and where it was handed on to.
        """
        size = math.prod(shape) * dtype.itemsize
        with self._taking:
            free = [piece for piece in self._pieces if piece.is_free]
            fitting = [piece for piece in free if size <= piece.capacity <= 2 * size]
            piece = min(fitting, key=lambda each: each.capacity) if fitting else self._new(size, free)
            self._forget([each for each in free if each is not piece], MOST_UNUSED)
            return None if piece is None else piece.tensor(size).view(dtype).view(shape)

    def reduced(self, tensor: Tensor) -> tuple[Any, ...] | None:
        """What is pickled of one of its tensors; None of any other, which torch knows how to hand on."""
        piece = next((piece for piece in self._pieces if piece.is_all_of(tensor)), None)
        return None if piece is None else piece.hand_on(tensor)

    def _new(self, size: int, unused: list[_Piece]) -> _Piece | None:
        storage = self.allocate(size + 1)
        if storage is None and unused:
            self._forget(unused, 0)
            storage = self.allocate(size + 1)
        if storage is None:
            return None
        self._pieces.append(_Piece(storage))
        return self._pieces[-1]

    def _forget(self, unused: list[_Piece], most: int) -> None:
        """Gives back what is beyond so many bytes, the oldest first; `unused` loses what is given back."""
        left = sum(piece.capacity for piece in unused)
        while unused and left > most:
            left -= unused[0].capacity
            self._pieces.remove(unused.pop(0))


def of_another(file: Any, capacity: int, size: int, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """The tensor that another process handed on, whose memory it may use again when this one's last view is gone.

    Args:
        file: that holds the memory, as `DupFd` gives it.
        capacity: bytes of the memory.
        size: bytes of the tensor.
        dtype: of the tensor.
        shape: likewise.
    """
    descriptor = file.detach()
    try:
        memory = mmap.mmap(descriptor, capacity)
    finally:
        os.close(descriptor)
    array = np.frombuffer(memory, np.uint8, size)
    weakref.finalize(array, _give_back, memory, os.getpid()).atexit = False
    return torch.from_numpy(array).view(dtype).view(shape)


def _give_back(memory: mmap.mmap, process: int) -> None:
    if os.getpid() == process:  # a fork of it loses only what it got with all else
        memory[-1] = 0
