"""Several processes meet within a time, end together, and say which of them is missing."""

import atexit
import contextlib
import functools
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import distributed as dist
from torch import multiprocessing

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.preemption import REQUEUE

SECONDS = 1800.0  # where distributed.timeout is not set
SEARCH = 5.0  # seconds in which processes that are left look for those that are gone
ATTEMPT = "TORCHELASTIC_RESTART_COUNT"
# How torch tells that another process does not answer.
CONNECTION = re.compile(r"gloo|nccl|processgroup|watchdog|store|connection (closed|reset|refused)|peer", re.IGNORECASE)
FIRST_NODE = re.compile(r"([^,\[]+)(?:\[(\d+)[^\]]*\]([^,]*))?")  # of a list like node[03-05,9]


class Company(NamedTuple):
    """The processes of a run.

    Attributes:
        store: which they share.
        rank: of this one.
        size: how many they are.
    """

    store: dist.Store
    rank: int
    size: int

    def name(self, rank: int) -> str:
        """What is known of a process."""
        return f"process {rank} of {self.size} ({self.store.get(_key(rank)).decode()})"


_COMPANY: list[Company] = []  # at most one


def _key(rank: int) -> str:
    return f"process/{rank}"


def meet_in_time(distributed: ModuleType) -> str | None:
    """`distributed_init` (MMF rc10 and main) waits for ever for a process that does not come. Stays.

    It also gives no time limit to torch, and nothing ends the group: then gloo's threads abort a process that is done.
    """
    initialise = distributed.distributed_init

    @functools.wraps(initialise)
    def meet(config: Any) -> int:
        chosen = config.distributed
        if dist.is_initialized() or chosen.world_size == 1:
            return initialise(config)
        check_shares(config.training.batch_size, chosen.world_size)
        join(chosen)
        distributed.suppress_output(dist.get_rank() == 0)
        chosen.rank = dist.get_rank()
        return chosen.rank

    replace(distributed, distributed_init=meet)
    return "MMF would wait for ever for a process that does not come"


def find_the_others(distributed: ModuleType) -> str | None:
    """`infer_init_method` (MMF rc10 and main) takes the tasks of `srun` for runs of their own without a port. Stays."""
    infer = distributed.infer_init_method

    @functools.wraps(infer)
    def find(config: Any) -> None:
        infer(config)
        chosen = config.distributed
        if chosen.init_method is None and (tasks := slurm_tasks(os.environ)) > 1 and "MASTER_ADDR" not in os.environ:
            chosen.init_method = slurm_meeting(os.environ)
            chosen.world_size, chosen.rank, chosen.no_spawn = tasks, int(os.environ["SLURM_PROCID"]), True
        if chosen.init_method is None and chosen.world_size > max(1, torch.cuda.device_count()):
            raise InputError(
                f"distributed.world_size is {chosen.world_size}, and this machine has {torch.cuda.device_count()} "
                "devices; leave it out, or start the processes with torchrun (see docs/launch.md)"
            )

    replace(distributed, infer_init_method=find)
    return "MMF would take the tasks of srun for several runs"


def slurm_tasks(environment: Mapping[str, str]) -> int:
    """How many processes `srun` has started together with this one; 1 where it was not srun.

    A batch script and an interactive shell also have SLURM_NTASKS, and are one process.
    """
    if "SLURM_PROCID" not in environment or environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return 1
    return int(environment.get("SLURM_STEP_NUM_TASKS", environment.get("SLURM_NTASKS", 1)))


def slurm_meeting(environment: Mapping[str, str]) -> str:
    """Where the tasks of a Slurm job meet: on its first node, at a port that is the job's own."""
    nodes = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_JOB_NODELIST", ""))
    alone = int(environment.get("SLURM_STEP_NUM_NODES", environment.get("SLURM_NNODES", 1))) == 1
    found = FIRST_NODE.match(nodes)
    host = "127.0.0.1" if alone or found is None else "".join(filter(None, found.groups()))
    digits = [int(environment.get(name, 0) or 0) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
    return f"tcp://{host}:{20000 + sum(digits) % 20000}"


def check_shares(batch_size: int, processes: int) -> None:
    """Raises InputError for a batch that the processes cannot share evenly, and for processes without a device."""
    if batch_size % processes:
        raise InputError(
            f"training.batch_size={batch_size} is of all processes together, and {processes} cannot share it evenly; "
            f"set it to a multiple of {processes}, such as {-(-batch_size // processes) * processes}"
        )
    place, devices = int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", 0))), torch.cuda.device_count()
    if devices and place >= devices:
        raise InputError(
            f"this is process {place + 1} on a machine with {devices} devices; start one process for each device"
        )


def join(chosen: Any) -> None:
    """Meets the other processes.

    Args:
        chosen: the section `distributed`.

    Raises:
        InputError: naming those that did not come within `distributed.timeout`.
    """
    seconds = float(chosen.get("timeout") or SECONDS)
    limit = timedelta(seconds=seconds)
    rank, size = int(chosen.rank), int(chosen.world_size)
    try:
        store = open_store(chosen.init_method, rank, size, limit)
        store.set(_key(rank), f"number {os.getpid()} on {socket.gethostname()}")
    except (dist.DistError, RuntimeError, ValueError) as error:
        raise InputError(
            f"process {rank} of {size} could not reach the others at {address(chosen.init_method)} within {seconds:g} "
            "seconds (distributed.timeout): either process 0 has not started, or its port is not open; look at what it "
            "said"
        ) from error
    try:
        store.wait([_key(each) for each in range(size)], limit)
    except (dist.DistError, RuntimeError) as error:
        missing = [str(each) for each in range(size) if each != rank and not store.check([_key(each)])]
        raise InputError(
            f"process {' and '.join(missing) or '?'} of {size} did not come within {seconds:g} seconds "
            "(distributed.timeout); look at what was said where it was started"
        ) from error
    backend = "gloo" if chosen.backend == "nccl" and not torch.cuda.is_available() else chosen.backend
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=limit)
    _COMPANY[:] = [Company(store, rank, size)]
    atexit.register(leave)


def open_store(init_method: str, rank: int, size: int, limit: timedelta) -> dist.Store:
    """What the processes meet at: torchrun's own, or one that the first process opens."""
    if not init_method.startswith(("env://", "tcp://")):
        return next(dist.rendezvous(init_method, rank, size, timeout=limit))[0]
    host, _, port = address(init_method).rpartition(":")
    opens = rank == 0 and not (init_method == "env://" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True")
    store = dist.TCPStore(host, int(port), None, opens, limit, wait_for_workers=False)
    return dist.PrefixStore(f"visualbert/{os.environ.get(ATTEMPT, '0')}", store)


def address(init_method: str) -> str:
    """Host and port."""
    if init_method == "env://":
        return f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    return init_method.partition("://")[2]


def leave() -> None:
    """Takes the group of processes down; where it stays, its threads can abort a process that is done."""
    if dist.is_initialized():
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()
    _COMPANY.clear()


def together(command: Callable[[], None]) -> None:
    """Runs a command that may be one process of several.

    Raises:
        InputError: where another process is gone, naming it.
    """
    try:
        command()
        if dist.is_initialized():
            dist.barrier()
    except multiprocessing.ProcessExitedException as error:
        if error.exit_code != REQUEUE:
            raise
        sys.exit(REQUEUE)  # as the process that MMF has started did
    except RuntimeError as error:
        if not _COMPANY or not CONNECTION.search(str(error)):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun ends those that are left, and this is to be said first
        raise InputError(gone(_COMPANY[0])) from error
    leave()


def gone(company: Company) -> str:
    """The sentence about the processes that do not answer."""
    others = [rank for rank in range(company.size) if rank != company.rank]
    lost: list[int] = []
    until = time.monotonic() + SEARCH
    with contextlib.suppress(RuntimeError):
        while not lost and time.monotonic() < until:
            lost = [rank for rank in others if has_ended(company.store.get(_key(rank)).decode())]
            time.sleep(0.05)
        named = " and ".join(company.name(rank) for rank in lost or others)
        verb = "has ended" if lost else "does not answer"
        return (
            f"{named} {verb}, so that process {company.rank} cannot go on; look at what it said last, and go on from "
            "the last checkpoint with checkpoint.resume=true"
        )
    return "the processes of this run cannot reach each other any more; go on with checkpoint.resume=true"


def has_ended(process: str) -> bool:
    """Whether a process of this machine has ended; False for one of another machine, which cannot be seen."""
    _, number, _, host = process.split(" ", 3)
    if host != socket.gethostname():
        return False
    try:
        with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
