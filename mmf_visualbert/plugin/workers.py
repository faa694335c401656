"""How a loader's worker begins: signals of a scheduler pass it by, and a full /dev/shm does not hold its batches up."""

import logging
import math
import os
import signal
import threading
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch.multiprocessing.reductions import reduce_tensor
from torch.utils.data import get_worker_info

from mmf_visualbert.plugin.preemption import SIGNALS

logger = logging.getLogger(__name__)
SHARED_MEMORY = "/dev/shm"
SPARE = 16 << 20  # bytes that are left to others
LOCKS = 2 << 20  # bytes that the locks of all workers may take


def possible_workers(wanted: int) -> int:
    """How many workers a loader can have: none where /dev/shm has not even room for their locks, which is said."""
    if not wanted or room() >= LOCKS:
        return wanted
    logger.warning(
        f"there is no room in {SHARED_MEMORY} for workers, so that training.num_workers={wanted} becomes 0; give it "
        "more (docker run --shm-size=8g)"
    )
    return 0


def begin_worker(number: int) -> None:
    """What each worker does first.

    Args:
        number: of the worker.
    """
    let_the_parent_end_it()
    ForkingPickler.register(torch.Tensor, BatchPickler(number).reduce)


def let_the_parent_end_it() -> None:
    """A scheduler's signals reach every process of a job, and the last update needs its workers.

    Only what its own parent sends ends this process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    parent = os.getppid()

    def wait() -> None:
        while signal.sigwaitinfo(SIGNALS).si_pid != parent:
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


class BatchPickler:
    """Hands tensors on through shared memory while there is room, and else by value, through the pipe.

    torch only knows the first: where there is none, a batch is lost and the training process waits for ever.

    Args:
        number: of the worker; the first one says it.
    """

    def __init__(self, number: int) -> None:
        self._is_told = number != 0

    def reduce(self, tensor: torch.Tensor) -> tuple[Any, ...]:
        """What is pickled of a tensor."""
        if tensor.device.type != "cpu" or room() > SPARE + 2 * tensor.nbytes:
            return reduce_tensor(tensor)
        if not self._is_told:
            self._is_told = True
            logger.warning(
                f"there is little room in {SHARED_MEMORY}, so that batches go through pipes, which is slower; give it "
                "more (docker run --shm-size=8g), or set training.num_workers=0"
            )
        content = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return of_bytes, (content, tensor.dtype, tuple(tensor.shape))


def batch_memory(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """An empty tensor of a batch: in a worker where the training process sees it too, while there is room there.

    Elsewhere a worker's batch is copied once more when it is handed on.
    """
    size = math.prod(shape) * dtype.itemsize
    if get_worker_info() is None or not size or room() <= SPARE + 2 * size:
        return torch.empty(shape, dtype=dtype)
    try:
        return shared_tensor(shape, dtype)
    except RuntimeError:  # another worker has just taken the last
        return torch.empty(shape, dtype=dtype)


def shared_tensor(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """An empty tensor that other processes see, of memory that is taken at once and not only when it is written.

    Raises:
        RuntimeError: where there is none left.
    """
    storage = torch.UntypedStorage._new_shared(math.prod(shape) * dtype.itemsize)
    strides = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
    return torch.empty(0, dtype=dtype).set_(storage, 0, shape, strides)


def of_bytes(content: bytes, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor that was sent by value."""
    if not content:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(content), dtype=dtype).reshape(shape)


def room() -> int:
    """Free bytes of shared memory."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError:  # a system that keeps it elsewhere
        return 1 << 62
    return found.f_bavail * found.f_frsize
