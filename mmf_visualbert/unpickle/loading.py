"""From bytes to data, or to one sentence on why not."""

import contextlib
import pickle
import struct
from typing import Any

from mmf_visualbert.errors import InputError
from mmf_visualbert.unpickle.arrays import RefusedError
from mmf_visualbert.unpickle.fast import load_usual, usual
from mmf_visualbert.unpickle.instructions import INSTRUCTIONS
from mmf_visualbert.unpickle.machine import CutOffError, Machine

# What an instruction raises that finds something else than it takes.
_DAMAGED = (ValueError, TypeError, IndexError, KeyError, OverflowError, struct.error, MemoryError)
# What Python's unpickler raises beside them, and our stand-ins in it.
_FAULTS = (*_DAMAGED, pickle.UnpicklingError, AttributeError, EOFError, RefusedError)


def loads(raw: bytes | memoryview, where: str) -> Any:
    """Unpickles `raw` without running anything of it. Arrays of numbers are read-only.

    Args:
        raw: the pickle; what follows its end is not looked at.
        where: names file and record in messages.

    Raises:
        InputError: where the pickle is damaged or asks for anything but arrays and plain containers.
    """
    pickled = usual(raw)
    if pickled is not None:
        with contextlib.suppress(*_FAULTS):  # whatever it is, our machine says it
            return load_usual(pickled, len(raw))
    try:
        return Machine(raw).run(INSTRUCTIONS)
    except RefusedError as error:
        raise InputError(f"{where}: a pickle {error}; {error.mend}") from None
    except CutOffError:
        raise InputError(f"{where} cannot be unpickled: it is cut off; get or build it again") from None
    except _DAMAGED as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise InputError(f"{where} cannot be unpickled ({reason[:200]}); get or build it again") from None
