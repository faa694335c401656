"""Workers of a loader: what a scheduler sends passes them by, and batches arrive without shared memory."""

import os
import signal
from pathlib import Path

import pytest
import torch

from mmf_visualbert.plugin import workers

WORDS = Path(__file__).resolve().parents[1] / "toy_project" / "run_words.yaml"


class Samples(torch.utils.data.Dataset):
    """Of each kind of tensor; the third is read after a scheduler's signals."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 2:
            for each in workers.SIGNALS:  # not the parent's
                os.kill(os.getpid(), each)
        return {
            "float": torch.full((3,), float(index)),
            "half": torch.full((2,), index, dtype=torch.bfloat16),
            "bool": torch.tensor(index % 2 == 0),
            "empty": torch.zeros(0, 2, dtype=torch.int64),
        }


@pytest.mark.parametrize(("free", "workers_left"), [(1 << 16, 0), (1 << 26, 4)])
def test_without_room_for_locks_there_are_no_workers(configure, monkeypatch, free, workers_left):
    monkeypatch.setattr(workers, "room", lambda: free)
    config = configure(f"config={WORDS}", "training.num_workers=4").get_config()
    assert config.training.num_workers == workers_left


def batches(samples):
    return list(samples)


@pytest.mark.parametrize("free", [0, 1 << 40])
def test_signals_pass_by_and_tensors_arrive(monkeypatch, free):
    monkeypatch.setattr(workers, "room", lambda: free)
    loader = torch.utils.data.DataLoader(
        Samples(), batch_size=2, num_workers=1, collate_fn=batches, worker_init_fn=workers.begin_worker
    )
    read = [sample for batch in loader for sample in batch]
    assert len(read) == 4
    for index, sample in enumerate(read):
        for name, value in Samples()[0].items():
            assert sample[name].dtype == value.dtype and sample[name].shape == value.shape
            assert name == "empty" or float(sample[name].reshape(-1)[0]) == float(
                index % 2 == 0 if name == "bool" else index
            )
    assert bool(read[0]["float"].is_shared()) == (free > 0), "by value where there is no room"
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN


def test_memory_of_a_batch_is_shared_by_a_worker_where_there_is_room(monkeypatch):
    assert not workers.batch_memory((2, 3), torch.float16).is_shared(), "in the training process"
    monkeypatch.setattr(workers, "get_worker_info", object)
    for shape, free, shared in (((2, 3), 1 << 40, True), ((2, 3), 0, False), ((0, 3), 1 << 40, False)):
        monkeypatch.setattr(workers, "room", lambda free=free: free)
        made = workers.batch_memory(shape, torch.float16).fill_(1)
        assert made.is_shared() == shared and made.shape == shape and made.is_contiguous()
        assert made.dtype == torch.float16 and made.sum() == made.numel()


def test_memory_of_a_batch_is_taken_at_once(monkeypatch):
    monkeypatch.setattr(workers, "get_worker_info", object)
    made = workers.batch_memory((8, 1 << 20), torch.uint8)
    file, size = made.untyped_storage()._share_fd_cpu_()
    assert made.is_shared() and size == 8 << 20 and 512 * os.fstat(file).st_blocks >= size


def test_memory_that_another_worker_has_just_taken(monkeypatch):
    monkeypatch.setattr(workers, "get_worker_info", object)
    monkeypatch.setattr(workers, "room", lambda: 1 << 60)
    with pytest.raises(RuntimeError, match="allocate memory"):  # of the process, where it looked next
        workers.batch_memory((1 << 55,), torch.uint8)
