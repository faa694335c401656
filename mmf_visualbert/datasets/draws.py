"""Draws that repeat: what is random in training stays the same in every evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable_draws(index: int | None) -> Iterator[None]:
    """Within it, torch's CPU generator begins at a state that `index` alone decides; afterwards it goes on as before.

    Masks and caption pairs of a validation sample are then the same at every evaluation, so that the losses of two
    checkpoints can be compared. (The released code draws them anew.)

    Args:
        index: of the sample; None leaves the generator alone, as in training, where the DataLoader seeds it anew for
            each worker and epoch.
    """
    if index is None:
        yield
        return
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(index)
    try:
        yield
    finally:
        generator.set_state(state)
