"""Values of all ranks, each sample once."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmf_visualbert.metrics.gather import gather_by_id

# Two processes with uneven parts of seven samples; samples 0 and 6 are on both, as DistributedSampler repeats them.
RANK = """
import sys
import torch
from mmf_visualbert.metrics.gather import gather_by_id
from mmf_visualbert.tasks.vqa2.metrics import VQAAccuracy

rank, store = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
ids = torch.tensor([[6, 0, 2, 4, 0], [1, 3, 5, 6, 0]][rank][: 5 - rank])
half, pairs, flags, types = gather_by_id(ids, ids.half() / 4, torch.stack([ids, -ids], 1), ids > 2, ids % 2)
assert half.dtype == torch.float16 and half.tolist() == [i / 4 for i in range(7)], half
assert pairs.tolist() == [[i, -i] for i in range(7)], pairs
assert flags.dtype == torch.bool and flags.tolist() == [i > 2 for i in range(7)], flags
(empty,) = gather_by_id(ids[:rank], ids[:rank])
assert empty.tolist() == [1], empty
accuracy = VQAAccuracy("number").calculate({"id": ids, "answer_types": ids % 2}, {"answer_accuracy": ids / 10})
assert abs(float(accuracy) - 0.3) < 1e-6, accuracy  # samples 1, 3, 5; a mean over ranks of means would be NaN
torch.distributed.destroy_process_group()
"""


def test_two_real_processes(tmp_path):
    root = Path(__file__).parents[2]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(tmp_path / "store")],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=120)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(outputs)


def test_one_process_drops_repeats_and_sorts():
    ids = torch.tensor([5, 1, 5, 0, 1])
    values, again = gather_by_id(ids, torch.tensor([5.0, 1.0, 9.0, 0.0, 9.0]), ids)
    assert values.tolist() == [0, 1, 5]  # the first of each is kept
    assert again.tolist() == [0, 1, 5]
    assert gather_by_id(ids[:0], ids[:0])[0].tolist() == []


def test_values_of_another_length():
    with pytest.raises(ValueError, match="3 ids"):
        gather_by_id(torch.arange(3), torch.zeros(2))
