"""The order of samples in an epoch: decided by the run's seed and the epoch, the same for any number of processes."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.utils.data import Sampler

from mmf_visualbert.datasets.draws import seed_from


class Place(NamedTuple):
    """A sample's place in an epoch.

    Attributes:
        sample: its index in its dataset.
        draw: seed of what is random in it, this time.
        counted: False where a process without a share of the last batch gets a sample of another's, so that it has as
            many batches as they have.
    """

    sample: int
    draw: int
    counted: bool = True


class EpochOrder(Sampler[Any]):
    """One process's share of each epoch.

    Batch number b of all processes together is always the same: the samples b · B to (b + 1) · B of the epoch's order,
    of which process r of R has every R-th from the r-th on. So an epoch has every sample once, and the last batch may
    be smaller on one process than on another.

    Args:
        length: number of samples N.
        batch_size: B, of all processes together; a multiple of their number.
        shuffle: whether each epoch has an order of its own; else it is that of the dataset.
        rank, ranks: r and R.
    """

    def __init__(self, length: int, batch_size: int, shuffle: bool, rank: int = 0, ranks: int = 1) -> None:
        self.length = length
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.rank = rank
        self.ranks = ranks
        self.begin(0, 0)

    def begin(self, seed: int, epoch: int, start: int = 0) -> None:
        """The next iteration is that of `epoch`, without its first `start` samples."""
        self.seed = seed
        self.epoch = epoch
        self.start = start

    @property
    def left(self) -> int:
        """Number of batches from where the epoch was begun."""
        return -(-(self.length - self.start) // self.batch_size)

    def after(self, samples: int) -> int:
        """How many samples of the epoch are done after the batch that begins when `samples` are."""
        return min(samples + self.batch_size, self.length)

    def __len__(self) -> int:
        """Number of samples in a whole epoch's share."""
        rest = self.length % self.batch_size
        whole = (self.length - rest) // self.ranks
        return whole + max(len(range(self.rank, rest, self.ranks)), 1 if rest else 0)

    def __iter__(self) -> Iterator[Any]:
        """The `Place` of each sample of this process's share."""
        seed, epoch, start = self.seed, self.epoch, self.start
        order = self._order(seed, epoch)
        for first in range(start, self.length, self.batch_size):
            batch = order[first : first + self.batch_size]
            share = batch[self.rank :: self.ranks].tolist()
            for index in share or batch[:1].tolist():
                yield Place(index, seed_from(seed, epoch, index), counted=bool(share))

    def _order(self, seed: int, epoch: int) -> torch.Tensor:
        if not self.shuffle:
            return torch.arange(self.length)
        return torch.randperm(self.length, generator=torch.Generator().manual_seed(seed_from(seed, epoch)))


class EpochIndices(EpochOrder):
    """The same order for a dataset that knows of no places: the indices alone."""

    def __iter__(self) -> Iterator[Any]:
        return (place.sample for place in super().__iter__())
