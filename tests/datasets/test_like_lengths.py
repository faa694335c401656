"""Batches of like length keep to their budget, hold each sample once, and are those of one process on any number."""

import numpy as np
import pytest
import torch

from mmf_visualbert.datasets.like_lengths import LikeLengths
from mmf_visualbert.errors import InputError

LENGTHS = np.random.default_rng(0).integers(12, 200, size=301)
BATCH, BUDGET = 16, 1000


def batches(ranks=1, start=0, epoch=2, seed=7):
    """What all processes together have in each batch, each sample once."""
    shares = []
    for rank in range(ranks):
        order = LikeLengths(LENGTHS, BATCH, BUDGET, rank, ranks)
        order.begin(seed, epoch, start)
        loader = torch.utils.data.DataLoader(range(len(LENGTHS)), batch_sampler=order)
        shares.append(list(loader.batch_sampler))
        assert len(shares[-1]) == order.left and len(loader) == len(order)
    return [sorted(p for share in parts for p in share if p.counted) for parts in zip(*shares, strict=True)]


def test_batches_are_within_the_budget_and_hold_each_sample_once():
    made = batches()
    assert sorted(place.sample for batch in made for place in batch) == list(range(len(LENGTHS)))
    longest = [max(LENGTHS[place.sample] for place in batch) for batch in made]
    assert all(len(batch) <= BATCH for batch in made)
    assert all(most * len(batch) <= BUDGET for most, batch in zip(longest, made, strict=True))
    padding = 1 - LENGTHS.sum() / sum(most * len(batch) for most, batch in zip(longest, made, strict=True))
    assert padding < 0.08  # of batches in the order of a draw it is a third and more
    assert LikeLengths(LENGTHS, BATCH, BUDGET).padding() < 0.08


@pytest.mark.parametrize("ranks", [2, 4])
def test_they_are_the_same_on_several_processes(ranks):
    assert batches(ranks) == batches()


def test_an_epoch_has_an_order_of_its_own_and_as_many_batches():
    first, second = batches(epoch=1), batches(epoch=2)
    assert len(first) == len(second)
    assert sorted(map(len, first)) == sorted(map(len, second))
    samples = [{place.sample for place in batch} for batch in first]
    assert sum({place.sample for place in batch} in samples for batch in second) < len(second) / 3
    assert batches(epoch=1) == first and batches(epoch=1, seed=8) != first


@pytest.mark.parametrize("done", [1, 5, 20])
def test_a_run_that_was_stopped_goes_on_with_the_batches_that_are_left(done):
    order, samples = LikeLengths(LENGTHS, BATCH, BUDGET), 0
    order.begin(7, 2)
    for _ in range(done):
        samples = order.after(samples)
    assert samples == sum(len(batch) for batch in batches()[:done])
    assert batches(start=samples) == batches()[done:]
    assert batches(2, start=samples) == batches()[done:]


def test_at_the_end_of_an_epoch_nothing_is_left():
    order = LikeLengths(LENGTHS, BATCH, BUDGET)
    assert order.after(len(LENGTHS)) == len(LENGTHS)
    order.begin(7, 2, len(LENGTHS))
    assert order.left == 0 and not list(order)


def test_a_sample_beyond_the_budget_is_refused():
    with pytest.raises(
        InputError, match=r"token_budget is 100, and one sample alone has \d+ tokens; set it to as many"
    ):
        LikeLengths(LENGTHS, BATCH, 100)
    assert len(LikeLengths([150, 3], 8, 150)) == 2
