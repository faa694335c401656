"""How a batch of sequences of unequal length lies in memory.

Shapes: B batch, T word pieces, R regions, L = T + R, K chosen positions, H hidden size.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.modules.attention import Kernel
from mmf_visualbert.modules.inputs import RegionInputs, TextInputs


def trim(text: TextInputs, regions: RegionInputs | None) -> tuple[TextInputs, RegionInputs | None]:
    """Cut the columns at the end in which no sequence of the batch has a word piece, or a region.

    Data loaders pad to a fixed length, because MMF's collation needs equal shapes. The results are views.
    """
    ends = [end_of_mask(text.mask)]
    if regions is not None:
        ends.append(end_of_mask(regions.mask))
    used = torch.stack(ends).tolist()  # waits once for the device
    text = TextInputs(*(part[:, : used[0]] for part in text))
    if regions is not None:
        regions = RegionInputs(*(None if part is None else part[:, : used[1]] for part in regions))
    return text, regions


def end_of_mask(mask: Tensor) -> Tensor:
    """One more than the last column of `mask` (B, L) with a True in it, (); 0 where there is none."""
    if mask.numel() == 0:
        return torch.zeros((), dtype=torch.int64, device=mask.device)
    columns = torch.arange(1, mask.size(1) + 1, device=mask.device)
    return (columns * mask.any(dim=0)).max()


class Chosen(NamedTuple):
    """Positions whose last state is read.

    Attributes:
        positions: (B, K) int64, different positions in each row.
        valid: (B, K) bool, False where a row has fewer than K of them; `positions` holds any other position there.
    """

    positions: Tensor
    valid: Tensor

    @classmethod
    def from_mask(cls, mask: Tensor) -> "Chosen":
        """From `mask` (B, L) bool, True where the last state is read."""
        most = int(mask.sum(dim=1).max())
        positions = mask.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
        return cls(positions, mask.gather(1, positions))


class Padded:
    """(B, L, H) with a mask: the plain layout.

    Args:
        mask: (B, L) bool, True at tokens; None where nothing is padded, which lets attention take its fastest kernel.
    """

    def __init__(self, mask: Tensor | None) -> None:
        self.mask = mask

    def pack(self, tokens: Tensor) -> Tensor:
        """(B, L, H) -> what the layers work on."""
        return tokens

    def unpack(self, hidden: Tensor) -> Tensor:
        """What the layers work on -> (B, L, H)."""
        return hidden

    def place(self, hidden: Tensor, chosen: Chosen, length: int) -> Tensor:
        """Chosen states at their positions, (B, K, H) -> (B, length, H), NaN elsewhere."""
        empty = hidden.new_full((hidden.size(0), length, hidden.size(-1)), torch.nan)
        return empty.scatter(1, chosen.positions.unsqueeze(-1).expand_as(hidden), hidden)

    def select(self, hidden: Tensor, chosen: Chosen) -> Tensor:
        """The states at the chosen positions, (B, L, H) -> (B, K, H)."""
        return hidden.gather(1, chosen.positions.unsqueeze(-1).expand(-1, -1, hidden.size(-1)))

    def attend(
        self, kernel: Kernel, query: Tensor, key: Tensor, value: Tensor, heads: int, dropout: float
    ) -> tuple[Tensor, Tensor | None]:
        """Attention of `query` (B, K, H) to `key` and `value` (B, L, H), head by head.

        Returns:
            context (B, K, H) and the weights (B, heads, K, L), None where the kernel does not give them.
        """
        query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
        mask = None if self.mask is None else self.mask[:, None, None, :]
        context, weights = kernel(query, key, value, mask, dropout)
        return context.transpose(1, 2).flatten(2), weights
