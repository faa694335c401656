"""One training a folder: a second one in the same `env.save_dir` is refused by name while the first lives."""

import fcntl
import functools
import os
import socket
from pathlib import Path
from types import ModuleType
from typing import Any

from mmf_visualbert.compat.distributed import rank
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_errors
from mmf_visualbert.plugin.configuration import MODEL

LOCK = ".training"
_held: dict[str, int] = {}


def one_run_a_folder(checkpoint: ModuleType) -> str | None:
    """`Checkpoint` (MMF rc10 and main) lets several runs write the same files. Stays."""
    cls = checkpoint.Checkpoint
    initialise = cls.__init__

    @functools.wraps(initialise)
    def alone(self: Any, trainer: Any) -> None:
        if trainer.config.model == MODEL and "train" in trainer.config.run_type and rank() == 0:
            take(Path(trainer.config.env.save_dir))
        initialise(self, trainer)

    replace(cls, __init__=alone)
    return "MMF would let two runs write into one folder"


def take(folder: Path) -> None:
    """Takes a folder for this process, until it ends however it ends.

    The lock is one of the process (POSIX), so that workers that outlive a killed process do not keep it.

    Raises:
        InputError: naming the process that has it, or where the folder cannot be written.
    """
    path = os.path.realpath(folder / LOCK)
    if path in _held:
        return
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        who = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "another process"
        os.close(descriptor)
        raise InputError(
            f"env.save_dir={folder} is being written by another training ({who}); name another folder, or end that one"
        ) from None
    except OSError:  # a disk without locks
        pass
    _held[path] = descriptor
    with write_errors(folder):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
