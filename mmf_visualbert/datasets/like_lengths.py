"""Batches of samples of like length, each limited by its tokens: nothing is spent on padding, and memory is bounded."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from mmf_visualbert.datasets.draws import seed_from
from mmf_visualbert.datasets.order import Place
from mmf_visualbert.errors import InputError

KEY = "training.token_budget"
# Lengths count as alike up to so many tokens, so that a sample meets others in each epoch.
ALIKE = 8


class LikeLengths(Sampler[list[Any]]):
    """One process's share of each batch of an epoch, for a data loader's `batch_sampler`.

    The samples are put in order of their length, alike ones by the seed and the epoch, and cut into batches of at most
    B samples of which the longest, times their number, is within the budget. The batches come in an order that the seed
    and the epoch decide. How many there are, and how large, is the same in all epochs and on any number of processes,
    of which process r of R has every R-th sample of a batch from the r-th on.

    Args:
        lengths: (N,) tokens of each sample.
        batch_size: B, of all processes together.
        budget: most tokens of a batch, of all processes together, padding counted.
        rank, ranks: r and R.

    Raises:
        InputError: where a sample alone is beyond the budget.
    """

    def __init__(
        self, lengths: Sequence[int] | np.ndarray, batch_size: int, budget: int, rank: int = 0, ranks: int = 1
    ) -> None:
        exact = np.asarray(lengths, dtype=np.int64)
        longest = int(exact.max(initial=0))
        if longest > budget:
            raise InputError(f"{KEY} is {budget}, and one sample alone has {longest} tokens; set it to as many")
        self.lengths = np.minimum(-(-exact // ALIKE) * ALIKE, longest)
        self.length = len(exact)
        self.rank = rank
        self.ranks = ranks
        self.sizes = _sizes(np.sort(self.lengths)[::-1], batch_size, budget)
        self.begin(0, 0)

    def begin(self, seed: int, epoch: int, start: int = 0) -> None:
        """The next iteration is that of `epoch`, without the batches that hold its first `start` samples."""
        self.seed = seed
        self.epoch = epoch
        generator = torch.Generator().manual_seed(seed_from(seed, epoch))
        draws = torch.randperm(self.length, generator=generator).numpy()
        by_length = np.lexsort((draws, -self.lengths))
        turns = torch.randperm(len(self.sizes), generator=generator).numpy()
        batches = np.split(by_length, np.cumsum(self.sizes)[:-1])
        self.batches = [batches[turn] for turn in turns]
        self.ends = np.cumsum(self.sizes[turns])
        self.first = int(np.searchsorted(self.ends, start, side="right"))

    @property
    def left(self) -> int:
        """Number of batches from where the epoch was begun."""
        return len(self.batches) - self.first

    def after(self, samples: int) -> int:
        """How many samples of the epoch are done after the batch that begins when `samples` are."""
        batch = min(int(np.searchsorted(self.ends, samples, side="right")), len(self.ends) - 1)
        return int(self.ends[batch])

    def __len__(self) -> int:
        """Number of batches in a whole epoch."""
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[Any]]:
        """The `Place` of each sample of this process's share, batch by batch."""
        seed, epoch = self.seed, self.epoch
        for batch in self.batches[self.first :]:
            share = batch[self.rank :: self.ranks].tolist()
            yield [
                Place(index, seed_from(seed, epoch, index), counted=bool(share))
                for index in share or batch[:1].tolist()
            ]

    def padding(self) -> float:
        """Share of padding in batches that are padded to their longest sample, as lengths count here."""
        longest = np.array([self.lengths[batch].max() for batch in self.batches])
        return float(1 - self.lengths.sum() / (longest * [len(batch) for batch in self.batches]).sum())


def _sizes(descending: np.ndarray, batch_size: int, budget: int) -> np.ndarray:
    """Samples of each batch, from the longest to the shortest."""
    sizes, first = [], 0
    while first < len(descending):
        fitting = budget // max(int(descending[first]), 1)
        sizes.append(min(batch_size, fitting, len(descending) - first))
        first += sizes[-1]
    return np.array(sizes, dtype=np.int64)
