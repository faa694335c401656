"""Bootstrap intervals of shares, resampled by image, in memory that does not grow with the number of images.

In every resample each image counts a Poisson(1) number of times (Chamandy et al., 2012), with all its captions, because
what is asked of one image is alike. The number is drawn after the image's name, so that nothing of an image has to be
kept: resamples are sums.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

LEVEL = 0.95


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Resamples:
    """Sums of G groups x K columns in each of N resamples.

    Args:
        number: N.
        seed: of the draws.
    """

    def __init__(self, number: int = 1000, seed: int = 0) -> None:
        self.number = number
        self.seed = seed
        self._sums: Tensor | None = None

    def add(self, images: Sequence[str], values: Tensor) -> None:
        """Adds what was found in examples.

        Args:
            images: the name of each of B examples' image.
            values: (B, G, K).
        """
        draws = torch.from_numpy(np.stack([self.draw(image) for image in images], axis=1))  # (N, B)
        added = (draws @ values.flatten(1).float().cpu()).view(self.number, *values.shape[1:])
        self._sums = added if self._sums is None else self._sums + added

    def draw(self, image: str) -> np.ndarray:
        """(N,) float32, how often the image counts in each resample."""
        generator = np.random.Generator(np.random.SFC64([self.seed, zlib.crc32(image.encode())]))
        return generator.poisson(1.0, self.number).astype(np.float32)

    def shares(self, group: int) -> Tensor:
        """(N, K - 1): in each resample, the columns of a group over its last column; NaN where that is 0."""
        if self._sums is None:
            raise ValueError("nothing was added")
        return self._sums[:, group, :-1] / self._sums[:, group, -1:]


def interval(shares: Tensor) -> Tensor:
    """(2, K): the 95 % interval of each of K columns by itself, from its resamples (N, K)."""
    edges = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=shares.dtype)
    return torch.nanquantile(shares, edges, dim=0)


def margin(shares: Tensor, found: Tensor) -> float:
    """How far all of K columns may be off at once, at 95 %: what the best of many heads has to be judged by.

    Args:
        shares: (N, K) of the resamples.
        found: (K,) of the data.
    """
    worst = (shares - found.to(shares)).abs().amax(dim=1)
    return float(torch.nanquantile(worst, LEVEL))
