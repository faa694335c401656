"""Draws that repeat: what is random in a sample is decided by numbers, never by what was drawn before it."""

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_from(*numbers: int) -> int:
    """A seed of 63 bits that `numbers` alone decide, another for each of them, the same on every machine.

    Args:
        numbers: of 64 bits each, such as a run's seed, an epoch and a sample's index.
    """
    digest = hashlib.blake2b(struct.pack(f"<{len(numbers)}q", *numbers), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def repeatable_draws(seed: int | None) -> Iterator[None]:
    """Within it, torch's CPU generator begins at a state that `seed` alone decides; afterwards it goes on as before.

    In an evaluation the seed is the sample's index: masks and caption pairs are the same each time, so that the losses
    of two checkpoints can be compared. (The released code draws them anew.) In training it comes of the run's seed, the
    epoch and the index (`order.EpochOrder`): a run that goes on after a kill draws what it would have drawn.

    Args:
        seed: None leaves the generator alone.
    """
    if seed is None:
        yield
        return
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)
