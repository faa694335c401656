"""Files of torch and of safetensors, read without running anything that they name."""

import contextlib
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import omegaconf_values
from mmf_visualbert.files.opening import HEAD, foreign, reading, require

if TYPE_CHECKING:
    from torch import Tensor

_ZIP, _PICKLE = b"PK", b"\x80"
_KINDS = {b"\x1f\x8b": "a gzip archive", b"%PDF": "a PDF file", b"\x89HDF": "an HDF5 file", b"\x93NUM": "a .npy file"}
_PACKED = 16  # times its size that a file may hold; torch does not pack at all
_EXPANDED = 2 << 30  # bytes that its tensors may have beyond that


def read_torch(
    file: str | Path | IO[bytes],
    map_location: Any = "cpu",
    refusal: str | None = None,
    allowed: Sequence[Any] = (),
    mapped: bool = False,
) -> Any:
    """What torch saved: tensors, plain containers, numpy's numbers, which a best metric's value may be, and omegaconf's
    lists, which come as plain ones.

    Args:
        file: its path, or the file opened for reading.
        map_location: as `torch.load` takes it.
        allowed: functions that may stand in the file, and could be called with anything that does.
        refusal: what the sentence about a file that does not load says first of it, as "cannot be read as weights".
        mapped: leave tensors in the file until they are used, for who needs a few of them and lets go of the rest soon.

    Raises:
        InputError: where there is none, it is something else, empty or cut off, holds other Python objects, or tensors
            larger than the file.
    """
    import torch  # takes seconds, and readers of text do without

    with _opened(file) as (stream, name):
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        head = stream.read(HEAD)
        stream.seek(0)
        try:
            _refuse_packed(stream, head, size)
            with (
                torch.serialization.safe_globals([*_allowed(), *allowed, *omegaconf_values.stand_ins()]),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore")  # torch's, about files that it is about to refuse
                source = name if mapped and head.startswith(_ZIP) else stream
                content = torch.load(source, map_location=map_location, weights_only=True, mmap=source is name)
            _refuse_expanded(content, size)
            content = omegaconf_values.plain(content)
        except (OSError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # torch raises a kind of its own for each way in which a file can be wrong
            raise InputError(_sentence(name, head, size, error, refusal)) from error
    return content


def unwrapped(state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights by the names of a model itself, where it was saved within torch's wrapper for several devices."""
    return {name.removeprefix("module."): value for name, value in state.items()}


def read_safetensors(path: str | Path) -> dict[str, "Tensor"]:
    """Tensors of a safetensors file.

    Raises:
        InputError: where there is none, or it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = require(path)
    with reading(path), open(path, "rb") as stream:
        head = stream.read(HEAD)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        what = foreign(head)
        raise InputError(f"{path} {what}" if what else f"{path} is no whole safetensors file; get it again") from error


@contextlib.contextmanager
def _opened(file: str | Path | IO[bytes]) -> Iterator[tuple[IO[bytes], str]]:
    if not isinstance(file, str | Path):
        yield file, str(file.name)
        return
    with reading(file), open(file, "rb") as stream:
        yield stream, str(file)


def _allowed() -> list[Any]:
    """numpy's numbers: what rebuilds one, by its name in numpy 2 and in numpy 1, and their types."""
    scalar = np.float64(0).__reduce__()[0]

    def other(*arguments: Any) -> Any:
        return scalar(*arguments)

    here = str(scalar.__module__)
    other.__module__ = "numpy.core.multiarray" if here.startswith("numpy._core") else "numpy._core.multiarray"
    other.__qualname__ = other.__name__ = "scalar"
    kinds = ("float64", "float32", "float16", "int64", "int32", "bool")
    return [scalar, other, np.dtype, *(type(np.dtype(kind)) for kind in kinds)]


class _RefusedError(Exception):
    """Why we do not take what torch would."""


def _refuse_packed(stream: IO[bytes], head: bytes, size: int) -> None:
    if not head.startswith(_ZIP):
        return
    with zipfile.ZipFile(stream) as packed:
        holds = sum(entry.file_size for entry in packed.infolist())
    stream.seek(0)
    if holds > _PACKED * size:
        raise _RefusedError(f"it unpacks to {holds} bytes from {size}")


def _refuse_expanded(content: Any, size: int) -> None:
    """A tensor of few bytes can say that it is large, by steps of 0, and takes that room where it is used first."""
    import torch

    waiting, seen, total = [content], set(), 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            if value.layout != torch.strided:
                raise _RefusedError("it has a sparse tensor, which no model here has")
            total += value.numel() * value.element_size()
            if total > max(_PACKED * size, _EXPANDED):
                raise _RefusedError(f"its tensors are of more than {total} bytes, and the file of {size}")
        elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, Mapping) else value)


def _sentence(name: str, head: bytes, size: int, error: Exception, refusal: str | None) -> str:
    """Why a file does not load. What torch says of it is left out: it advises to load the file all the same."""
    objects = re.search(r"GLOBAL ([\w.]+)", str(error))
    if objects and head.startswith((_ZIP, _PICKLE)):
        return (
            f"{name} {f'{refusal}: it ' if refusal else ''}holds Python objects ({objects[1]}) beside weights, which "
            "are not loaded because they could run any code; save its state dict alone and give that file"
        )
    return (
        f"{name} {refusal or 'is not a checkpoint, or was cut off while it was written'}: {_reason(head, size, error)}"
    )


def _reason(head: bytes, size: int, error: Exception) -> str:
    if not size:
        return "it is empty; write, copy or download it again"
    if what := foreign(head):
        return f"it {what}"
    if what := next((kind for start, kind in _KINDS.items() if head.startswith(start)), None):
        return f"it is {what}; give the file of weights itself"
    if isinstance(error, _RefusedError):
        return f"{error}; get it again from where it was made"
    if head.startswith(_ZIP) or (head.startswith(_PICKLE) and _ends_early(error)):
        return "it is cut off or damaged; write, copy or download it again"
    return "it is no file that torch saved; give one saved from a model's state_dict()"


def _ends_early(error: Exception) -> bool:
    return isinstance(error, EOFError) or "EOF" in str(error) or "truncated" in str(error)
