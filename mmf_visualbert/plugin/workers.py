"""How a loader's worker begins: signals of a scheduler pass it by, and a full /dev/shm does not hold its batches up."""

import logging
import math
import os
import signal
import threading
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch.multiprocessing import get_sharing_strategy
from torch.multiprocessing.reductions import reduce_tensor
from torch.utils.data import get_worker_info

from mmf_visualbert.plugin.kept_memory import LEAST, KeptMemory
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
    global _of_worker
    let_the_parent_end_it()
    by_file = get_sharing_strategy() == "file_descriptor"  # what is kept is handed on in no other way
    _of_worker = KeptMemory(shared_storage) if by_file else None
    ForkingPickler.register(torch.Tensor, BatchPickler(number, _of_worker).reduce)


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
        kept: where its large batches lie, if they are kept.
    """

    def __init__(self, number: int, kept: KeptMemory | None) -> None:
        self._is_told = number != 0
        self.kept = kept

    def reduce(self, tensor: torch.Tensor) -> tuple[Any, ...]:
        """What is pickled of a tensor."""
        reduced = None if self.kept is None else self.kept.reduced(tensor)
        if reduced is not None:
            return reduced
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
    """An empty tensor of a batch, in memory of one before that is gone, where it is large.

    In a worker it lies where the training process sees it too, while there is room there. Elsewhere a worker's batch is
    copied once more when it is handed on.
    """
    size = math.prod(shape) * dtype.itemsize
    in_worker = get_worker_info() is not None
    kept = _of_worker if in_worker else _of_process
    made = None
    if kept is not None and size >= LEAST:
        made = kept.tensor(shape, dtype)
    elif in_worker and size:
        storage = shared_storage(size)
        made = None if storage is None else torch.empty(0, dtype=dtype).set_(storage).view(shape)
    return torch.empty(shape, dtype=dtype) if made is None else made


def shared_storage(size: int) -> torch.UntypedStorage | None:
    """Memory that other processes see, taken at once and not only when it is written; None where there is no room."""
    if room() <= SPARE + 2 * size:
        return None
    try:
        return torch.UntypedStorage._new_shared(size)
    except RuntimeError:  # another worker has just taken the last
        return None


# Of the worker that this process is, and of this process itself.
_of_worker: KeptMemory | None = None
_of_process = KeptMemory(torch.UntypedStorage)


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
