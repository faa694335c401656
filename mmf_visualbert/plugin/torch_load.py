"""torch as MMF's checkpoints see it: loading is safe with files from others, and saving is whole or not at all."""

import contextlib
import os
import zipfile
from collections.abc import Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_torch
from mmf_visualbert.plugin.saving import WRITER, damage


def load_weights_only(checkpoint: ModuleType) -> str | None:
    """`torch.load` of checkpoints (MMF rc10 and main): unrestricted before torch 2.6, refuses numpy's numbers since.

    MMF's own checkpoints hold weights, plain containers and numbers, which is all that is let through; and a file that
    is none is said in one sentence. Stays.
    """
    replace(checkpoint, torch=TorchOfCheckpoints())
    return "torch.load would load anything (before 2.6) or refuse numpy's numbers (since)"


class TorchOfCheckpoints:
    """`torch` as MMF's checkpoint module sees it: all of it, with our `load` and `save`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def load(file: Any, map_location: Any = None, **options: Any) -> Any:
        """As `load_checkpoint`."""
        return load_checkpoint(file, map_location, _mapped.get())

    @staticmethod
    def save(content: Any, path: Any, *options: Any) -> None:
        """As `CheckpointWriter.write`."""
        WRITER.write(content, path)


_mapped: ContextVar[bool] = ContextVar("mapped", default=False)


@contextlib.contextmanager
def weights_alone(wanted: bool = True) -> Iterator[None]:
    """Whoever loads a checkpoint meanwhile wants its weights: the optimizer's state, twice as large, stays on the disk.

    Args:
        wanted: whether that is so.
    """
    before = _mapped.set(wanted)
    try:
        yield
    finally:
        _mapped.reset(before)


def load_checkpoint(file: Any, map_location: Any = None, mapped: bool = False) -> Any:
    """Load a checkpoint that holds weights, numbers and plain containers, and the one function of MMF's schedule.

    Args:
        file: path, or an open file.
        map_location: as `torch.load` takes it.
        mapped: as `read_torch` takes it.

    Raises:
        InputError: where the file is no checkpoint, is cut off or damaged, or holds other Python objects.
    """
    from mmf.utils.general import (
        lr_lambda_update,  # a number of numbers, which MMF's pythia schedule names in its state
    )

    content = read_torch(file, map_location, allowed=[lr_lambda_update], mapped=mapped)
    name = str(file if isinstance(file, str | os.PathLike) else file.name)
    if zipfile.is_zipfile(name) and (wrong := damage(name)):  # torch itself does not look at its checksums
        raise InputError(f"{name} {wrong}; copy or download it again, or give an earlier checkpoint")
    return content
