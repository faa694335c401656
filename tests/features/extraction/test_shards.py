"""Which part of the images is a process's."""

import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction.shards import Shard, from_environment, parse


def test_shards_are_disjoint_and_whole():
    items = list(range(11))
    parts = [Shard(index, 4).of(items) for index in range(4)]
    assert sorted(item for part in parts for item in part) == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_is_written_i_of_n():
    assert parse("3/16") == Shard(3, 16)
    for wrong in ("3", "3/", "4/4", "-1/4", "a/b", "1/0"):
        with pytest.raises(InputError, match="written i/n"):
            parse(wrong)


@pytest.mark.parametrize(
    "environment,shard",
    [
        ({}, Shard()),
        ({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, Shard(5, 8, 1)),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "4", "SLURM_ARRAY_TASK_COUNT": "6"}, Shard(3, 6)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "8",
                "SLURM_ARRAY_TASK_MIN": "4",
                "SLURM_ARRAY_TASK_STEP": "2",
                "SLURM_ARRAY_TASK_COUNT": "3",
            },
            Shard(2, 3),
        ),
        ({"SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}, Shard(3, 4, 1)),
        (
            {
                **{"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"},
                **{"SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "3"},
            },
            Shard(7, 8, 3),
        ),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, Shard()),  # a batch script itself, not started by srun
    ],
)
def test_torchrun_and_slurm_are_understood(environment, shard):
    assert from_environment(environment) == shard


def test_contradictions_are_said():
    with pytest.raises(InputError, match="shard 5 of 3"):
        from_environment({"RANK": "5", "WORLD_SIZE": "3"})
    with pytest.raises(InputError, match="RANK"):
        from_environment({"RANK": "x", "WORLD_SIZE": "3"})
