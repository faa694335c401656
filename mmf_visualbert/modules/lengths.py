"""How long the sequences of a packed batch are, and where each begins on the device."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from mmf_visualbert.modules.on_host import to_device


class Lengths(tuple[int, ...]):
    """Tokens of each sequence; their offsets go to a device once, however many layers ask for them there.

    One belongs to a batch: what it keeps on a device was made in the same mode (with gradients, for inference) as the
    states.
    """

    @classmethod
    def of(cls, counts: Iterable[int]) -> "Lengths":
        """`counts` where they are such already."""
        return counts if isinstance(counts, cls) else cls(counts)

    def offsets(self, device: torch.device, kind: torch.dtype) -> Tensor:
        """(B + 1,), where each sequence begins, and the end of the last."""
        kept: dict[str, Any] = self.__dict__
        key = f"{device} {kind}"
        if key not in kept:
            kept[key] = to_device(torch.tensor([0, *accumulate(self)], dtype=kind), device)
        return kept[key]
