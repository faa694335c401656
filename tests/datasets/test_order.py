"""The order of samples is the same for any number of processes, also where a run goes on with another number."""

import pytest
import torch

from mmf_visualbert.datasets.order import EpochOrder, Place

LENGTH, BATCH = 37, 8


def batches(ranks, start=0, epoch=3, shuffle=True):
    """What all processes together have in each batch, each sample once."""
    shares = []
    for rank in range(ranks):
        order = EpochOrder(LENGTH, BATCH, shuffle, rank, ranks)
        order.begin(7, epoch, start)
        loader = torch.utils.data.DataLoader(range(LENGTH), BATCH // ranks, sampler=order)
        shares.append(list(loader.batch_sampler))
        assert len(shares[0]) == len(shares[-1]), "no process waits for another"
    return [sorted(p for share in parts for p in share if p.counted) for parts in zip(*shares, strict=True)]


@pytest.mark.parametrize("ranks", [2, 4, 8])
@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_those_of_one_process(ranks, shuffle):
    whole = batches(1, shuffle=shuffle)
    assert batches(ranks, shuffle=shuffle) == whole
    assert sorted(place.sample for batch in whole for place in batch) == list(range(LENGTH))
    assert [place.sample for batch in whole for place in batch] == list(range(LENGTH)) or shuffle


def test_a_run_that_was_stopped_with_two_processes_goes_on_with_one_or_four():
    assert batches(2)[:2] + batches(1, start=2 * BATCH) == batches(1)
    assert batches(2)[:2] + batches(4, start=2 * BATCH) == batches(1)


def test_epochs_and_samples_have_their_own_order_and_draws():
    first, second = (batches(1, epoch=epoch) for epoch in (1, 2))
    assert first != second
    assert len({place.draw for batch in first + second for place in batch}) == 2 * LENGTH
    assert Place(1, 2).counted


@pytest.mark.parametrize("workers", [1, 4])
def test_workers_change_nothing(workers):
    order = EpochOrder(LENGTH, BATCH, True)
    order.begin(7, 3)
    loader = torch.utils.data.DataLoader(Identity(), BATCH, sampler=order, num_workers=workers, collate_fn=sorted)
    assert list(loader) == batches(1)


class Identity(torch.utils.data.Dataset):
    """Gives what it is asked for."""

    def __len__(self):
        return LENGTH

    def __getitem__(self, place):
        return place
