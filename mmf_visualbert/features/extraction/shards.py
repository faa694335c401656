"""One extraction over many processes, GPUs or machines: which part of the images is this process's."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mmf_visualbert.errors import InputError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 0) of `total`, and the GPU of this machine that is this process's."""

    index: int = 0
    total: int = 1
    local: int = 0

    def of(self, items: Sequence[Item]) -> list[Item]:
        """Every `total`-th item, beginning with the `index`-th."""
        return list(items[self.index :: self.total])


def parse(text: str) -> Shard:
    """A shard written as `i/n`, i from 0 to n - 1.

    Raises:
        InputError: for anything else.
    """
    index, slash, total = text.partition("/")
    if not (slash and index.isdigit() and total.isdigit() and int(index) < int(total)):
        raise InputError(f"a shard is written i/n with i from 0 to n - 1, as 0/8, not '{text}'")
    return Shard(int(index), int(total))


def from_environment(environment: Mapping[str, str] = os.environ) -> Shard:
    """The shard that torchrun, a SLURM array or srun with several tasks gave this process; the whole where none did.

    A SLURM array of tasks is sharded by both: array index first.

    Raises:
        InputError: where the variables contradict each other.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        return _checked(*(_number(environment, name) for name in names))
    array = (0, 1)
    if "SLURM_ARRAY_TASK_ID" in environment:
        first, step = (
            _number(environment, f"SLURM_ARRAY_TASK_{name}", default) for name, default in (("MIN", 0), ("STEP", 1))
        )
        index = (_number(environment, "SLURM_ARRAY_TASK_ID") - first) // max(step, 1)
        array = (index, _number(environment, "SLURM_ARRAY_TASK_COUNT", 1))
    tasks = _number(environment, "SLURM_NTASKS", 1) if "SLURM_STEP_ID" in environment else 1
    task = _number(environment, "SLURM_PROCID", 0) if tasks > 1 else 0
    local = _number(environment, "SLURM_LOCALID", 0) if tasks > 1 else 0
    return _checked(array[0] * tasks + task, array[1] * tasks, local)


def _number(environment: Mapping[str, str], name: str, default: int = 0) -> int:
    value = environment.get(name, str(default))
    if not value.isdigit():
        raise InputError(f"the environment variable {name} is '{value}' and not a number; give --shard i/n")
    return int(value)


def _checked(index: int, total: int, local: int) -> Shard:
    if index >= total:
        raise InputError(f"the environment names shard {index} of {total}; give --shard i/n")
    return Shard(index, total, local)
