"""How a batch of sequences of unequal length lies in memory.

`Padded` is the plain layout: (B, L, H) and a mask. `Packed` holds the tokens alone, one sequence after the other, so
that nothing is computed for padding. Both offer the same to the layers, which know nothing else of the batch.

Shapes: B batch, T word pieces, R regions, L = T + R, N tokens that are not padding, M chosen tokens, K most chosen
tokens of a sequence, H hidden size.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mmf_visualbert.modules.attention import Kernel
from mmf_visualbert.modules.inputs import RegionInputs, TextInputs
from mmf_visualbert.modules.lengths import Lengths
from mmf_visualbert.modules.on_host import to_device
from mmf_visualbert.modules.packed_attention import PackedStates
from mmf_visualbert.modules.packed_kernels import kernel_for


class Chosen(NamedTuple):
    """Tokens whose last state is read.

    Attributes:
        rows: where a layout finds them among its states: (B, K) columns, or (M,) rows.
        sequences: the sequence of each in the batch, shaped as `rows` or (B, 1).
        columns: the place of each in its sequence, shaped as `rows`.
        counts: how many each sequence has.
    """

    rows: Tensor
    sequences: Tensor
    columns: Tensor
    counts: Lengths


class Layout(Protocol):
    """What the layers ask of a layout. "States" are (B, L, H) or (N, H), "chosen states" (B, K, H) or (M, H)."""

    def pack(self, tokens: Tensor) -> Tensor:
        """(B, L, H) -> states."""

    def unpack(self, states: Tensor) -> Tensor:
        """States -> (B, L, H). What stands at padding has no meaning."""

    def choose(self, mask: Tensor, device: torch.device) -> Chosen:
        """The tokens where `mask` (B, T) bool is True; it reaches over the first T <= L columns, never at padding.

        Args:
            mask: in the CPU's memory.
            device: of the states.
        """

    def select(self, states: Tensor, chosen: Chosen) -> Tensor:
        """States -> chosen states."""

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, num_heads: int, dropout: float, chosen: Chosen | None
    ) -> tuple[Tensor, Tensor | None]:
        """Attention of the queries of each sequence, chosen or all, to its tokens.

        Returns:
            context, shaped as `query`, and the weights (B, heads, L, L), None where they are not to be had.
        """


class Padded:
    """(B, L, H) with a mask.

    Args:
        mask: (B, L) bool, True at tokens; None where nothing is padded, which lets attention take its fastest kernel.
        kernel: computes attention.
    """

    def __init__(self, mask: Tensor | None, kernel: Kernel) -> None:
        self.mask = mask
        self.kernel = kernel

    def pack(self, tokens: Tensor) -> Tensor:
        """See `Layout`."""
        return tokens

    def unpack(self, states: Tensor) -> Tensor:
        """See `Layout`."""
        return states

    def choose(self, mask: Tensor, device: torch.device) -> Chosen:
        """See `Layout`. A sequence with less than K chosen tokens has its first others beside them."""
        counts = Lengths(mask.sum(dim=1).tolist())
        order = mask.to(torch.int8).argsort(dim=1, descending=True, stable=True)
        columns = to_device(order[:, : max(counts)], device)
        sequences = torch.arange(mask.size(0), device=device).unsqueeze(1)
        return Chosen(columns, sequences, columns, counts)

    def select(self, states: Tensor, chosen: Chosen) -> Tensor:
        """See `Layout`."""
        return states.gather(1, chosen.rows.unsqueeze(-1).expand(-1, -1, states.size(-1)))

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, num_heads: int, dropout: float, chosen: Chosen | None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Layout`."""
        query, key, value = (part.unflatten(-1, (num_heads, -1)).transpose(1, 2) for part in (query, key, value))
        mask = None if self.mask is None else self.mask[:, None, None, :]
        context, weights = self.kernel(query, key, value, mask, dropout)
        return context.transpose(1, 2).flatten(2), weights


class Packed:
    """(N, H), sequence by sequence.

    Args:
        mask: (B, L) bool, True at tokens, in the CPU's memory.
        device: of the states.
    """

    def __init__(self, mask: Tensor, device: torch.device) -> None:
        self.mask = mask
        self.lengths = Lengths(mask.sum(dim=1).tolist())
        self.full = sum(self.lengths) == mask.numel()
        self.places = None if self.full else to_device(mask.flatten().nonzero().squeeze(1), device)

    def pack(self, tokens: Tensor) -> Tensor:
        """See `Layout`."""
        rows = tokens.flatten(0, 1)
        return rows if self.places is None else rows.index_select(0, self.places)

    def unpack(self, states: Tensor) -> Tensor:
        """See `Layout`. Padding is 0."""
        if self.places is not None:
            empty = states.new_zeros(self.mask.numel(), states.size(-1))
            states = empty.index_copy(0, self.places, states)
        return states.view(*self.mask.shape, -1)

    def choose(self, mask: Tensor, device: torch.device) -> Chosen:
        """See `Layout`."""
        sequences, columns = mask.nonzero().unbind(dim=1)
        row_of = self.mask.flatten().cumsum(0) - 1
        rows = row_of[sequences * self.mask.size(1) + columns]
        rows, sequences, columns = to_device(torch.stack((rows, sequences, columns)), device).unbind(0)
        return Chosen(rows, sequences, columns, Lengths(mask.sum(dim=1).tolist()))

    def select(self, states: Tensor, chosen: Chosen) -> Tensor:
        """See `Layout`."""
        return states.index_select(0, chosen.rows)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, num_heads: int, dropout: float, chosen: Chosen | None
    ) -> tuple[Tensor, None]:
        """See `Layout`. It never gives weights."""
        query_lengths = self.lengths if chosen is None else chosen.counts
        kernel = kernel_for(query.device, query.dtype, dropout)
        return kernel(PackedStates(query, key, value, query_lengths, self.lengths, num_heads), dropout), None


def place(states: Tensor, chosen: Chosen, shape: Sequence[int]) -> Tensor:
    """Chosen states at their places, (M, H) or (B, K, H) -> (*shape, H), NaN elsewhere."""
    empty = states.new_full((*shape, states.size(-1)), torch.nan)
    return empty.index_put((chosen.sequences, chosen.columns), states)


def trim(text: TextInputs, regions: RegionInputs | None) -> tuple[TextInputs, RegionInputs | None]:
    """Cut the columns at the end in which no sequence of the batch has a word piece, or a region.

    Data loaders pad to a fixed length, because MMF's collation needs equal shapes. The results are views, and have
    their masks in the CPU's memory too, for which the device is waited for once where they did not.
    """
    known = text.known
    used = end_of_mask(known)
    text = TextInputs(text.input_ids[:, :used], text.mask[:, :used], text.segments[:, :used], known[:, :used])
    if regions is None:
        return text, None
    known = regions.known
    used = end_of_mask(known)
    features, mask, segments = (part[:, :used] for part in regions[:3])
    alignment = None if regions.alignment is None else regions.alignment[:, :used]
    return text, RegionInputs(features, mask, segments, alignment, known[:, :used])


def end_of_mask(mask: Tensor) -> int:
    """One more than the last column of `mask` (B, L) with a True in it; 0 where there is none."""
    columns = mask.any(dim=0).nonzero()
    return int(columns[-1]) + 1 if len(columns) else 0
