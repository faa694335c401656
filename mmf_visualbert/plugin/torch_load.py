"""Loading MMF's checkpoints: safe with files from others, and one sentence where a file is none."""

import re
from types import ModuleType
from typing import Any

import numpy as np
import torch

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError

# Beside tensors and plain containers: numpy's numbers, as a best metric value may be one.
NUMPY_SCALARS = [type(np.dtype(kind)) for kind in ("float64", "float32", "int64")]


def load_weights_only(checkpoint: ModuleType) -> str | None:
    """`torch.load` of checkpoints (MMF rc10 and main): unrestricted before torch 2.6, refuses numpy's numbers since.

    MMF's own checkpoints hold weights, plain containers and numbers, which is all that is let through; and a file that
    is none is said in one sentence. Stays.
    """
    replace(checkpoint, torch=TorchOfCheckpoints())
    return "torch.load would load anything (before 2.6) or refuse numpy's numbers (since)"


class TorchOfCheckpoints:
    """`torch` as MMF's checkpoint module sees it: all of it, with our `load`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def load(file: Any, map_location: Any = None, **options: Any) -> Any:
        """As `load_checkpoint`."""
        return load_checkpoint(file, map_location)


def load_checkpoint(file: Any, map_location: Any = None) -> Any:
    """Load a checkpoint that holds weights, numbers and plain containers.

    Args:
        file: path, or an open file.
        map_location: as `torch.load` takes it.

    Raises:
        InputError: where the file is no checkpoint, is cut off, or holds other Python objects.
    """
    name = str(getattr(file, "name", file))
    try:
        with torch.serialization.safe_globals([numpy_scalar(), np.dtype, *NUMPY_SCALARS]):
            return torch.load(file, map_location=map_location, weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{name} does not exist; give the path of a checkpoint") from None
    except (OSError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a file of any content raises almost anything
        raise InputError(describe(name, error)) from error


def describe(name: str, error: Exception) -> str:
    """One sentence on why a file does not load."""
    unknown = re.search(r"GLOBAL ([\w.]+)", str(error))
    if unknown:
        return (
            f"{name} holds Python objects ({unknown.group(1)}) beside weights, which are not loaded because they could "
            "run any code; save its state dict alone and give that file"
        )
    return (
        f"{name} is not a checkpoint, or was cut off while it was written ({type(error).__name__}); "
        "write, copy or download it again"
    )


def numpy_scalar() -> Any:
    """numpy's function that rebuilds a scalar, wherever this numpy has it."""
    return np.float64(0).__reduce__()[0]
