"""Memory of batches that is used again: never while somebody still has the batch, here or in another process."""

import gc
import os

import pytest
import torch

from mmf_visualbert.plugin import kept_memory, workers
from mmf_visualbert.plugin.kept_memory import KeptMemory

SHAPE = (4, 1 << 18)  # 2 MiB in float16


@pytest.fixture
def kept():
    return KeptMemory(torch.UntypedStorage)


def test_it_is_used_again_when_the_last_view_is_gone(kept):
    first = kept.tensor(SHAPE, torch.float16)
    place, row = first.data_ptr(), first[1]
    other = kept.tensor(SHAPE, torch.float16)
    assert other.data_ptr() != place and first.shape == SHAPE and first.dtype == torch.float16
    del first, other
    assert kept.tensor(SHAPE, torch.float16).data_ptr() != place, "one row of it is still there"
    array = row.numpy()
    del row
    assert kept.tensor(SHAPE, torch.float16).data_ptr() != place, "numpy has it"
    del array
    again = [kept.tensor(SHAPE, torch.float16) for _ in range(2)]
    assert place in {each.data_ptr() for each in again}


def test_what_a_backward_pass_needs_stays(kept):
    weight = torch.ones(SHAPE[1], requires_grad=True)
    batch = kept.tensor(SHAPE, torch.float32).fill_(1)
    place = batch.data_ptr()
    loss = (batch * weight).sum()
    del batch
    next_one = kept.tensor(SHAPE, torch.float32).fill_(7)
    assert next_one.data_ptr() != place
    loss.backward()
    assert torch.equal(weight.grad, torch.full((SHAPE[1],), 4.0))


def test_sizes_differ(kept, monkeypatch):
    place = kept.tensor(SHAPE, torch.float16).data_ptr()
    assert kept.tensor((3, SHAPE[1]), torch.float16).data_ptr() == place, "the last batch of an epoch"
    assert kept.tensor((1, SHAPE[1]), torch.float16).data_ptr() != place, "it would leave most of it unused"
    assert kept.tensor((5, SHAPE[1]), torch.float16).data_ptr() != place
    monkeypatch.setattr(kept_memory, "MOST_UNUSED", 0)
    kept.tensor((20, SHAPE[1]), torch.float16)
    assert len(kept._pieces) == 1, "what is unused is given back"


def test_without_memory_there_is_none_until_what_is_unused_is_given_back():
    left = [5 << 20]

    class Storage(torch.UntypedStorage):
        def __del__(self):
            left[0] += self.nbytes()

    def allocate(size):
        if size > left[0]:
            return None
        left[0] -= size
        return Storage(size)

    kept = KeptMemory(allocate)
    assert kept.tensor((6, 1 << 20), torch.uint8) is None
    small = [kept.tensor((1, 1 << 20), torch.uint8) for _ in range(2)]
    assert kept.tensor((4, 1 << 20), torch.uint8) is None
    del small
    assert kept.tensor((4, 1 << 20), torch.uint8).shape == (4, 1 << 20)
    assert len(kept._pieces) == 1


class Batches(torch.utils.data.Dataset):
    """Numbers in batches; `kept` of them stay with the worker as well, as a data set that keeps samples does."""

    def __init__(self, kept=(), twice=False):
        self.kept, self.twice, self.here = set(kept), twice, []

    def __len__(self):
        return 12

    def __getitem__(self, index):
        batch = workers.batch_memory(SHAPE, torch.float16).fill_(index)
        if index in self.kept:
            self.here.append(batch)
        assert all(float(each.min()) == float(each.max()) for each in self.here)
        says = [float(each[0, 0]) for each in self.here]
        return {"batch": batch, "again": batch[1:] if self.twice else 0, "here": says, "place": batch.data_ptr()}


def read(dataset, **options):
    return torch.utils.data.DataLoader(
        dataset, batch_size=None, num_workers=1, worker_init_fn=workers.begin_worker, **options
    )


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_worker_uses_the_memory_of_batches_that_are_gone(context):
    places = set()
    for index, each in enumerate(read(Batches(), prefetch_factor=1, multiprocessing_context=context)):
        assert torch.equal(each["batch"], torch.full(SHAPE, index, dtype=torch.float16))
        places.add(each["place"])
    assert len(places) < 6, "of 12 batches"


def test_batches_that_stay_with_the_training_process_are_not_written_to():
    kept = [each["batch"] for each in read(Batches())]
    gc.collect()
    assert all(torch.equal(batch, torch.full(SHAPE, index).half()) for index, batch in enumerate(kept))


def test_batches_that_stay_with_the_worker_are_not_written_to():
    last = list(each["here"] for each in read(Batches(kept=(0, 5))))[-1]
    assert last == [0.0, 5.0]


def test_a_view_beside_the_batch_is_handed_on_too():
    for index, each in enumerate(read(Batches(twice=True))):
        assert torch.equal(each["batch"], torch.full(SHAPE, index).half())
        assert torch.equal(each["again"], torch.full((SHAPE[0] - 1, SHAPE[1]), index).half())


def test_a_fork_of_the_training_process_gives_nothing_back():
    loader = iter(read(Batches(), prefetch_factor=1))
    first = next(loader)["batch"]
    child = os.fork()
    if not child:
        del first
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    for _ in range(8):
        next(loader)
    assert torch.equal(first, torch.zeros(SHAPE, dtype=torch.float16))


def test_workers_that_stay_for_the_next_epoch():
    loader = read(Batches(), persistent_workers=True)
    for _ in range(2):
        values = [float(each["batch"].float().mean()) for each in loader]
        assert values == [float(index) for index in range(12)]
