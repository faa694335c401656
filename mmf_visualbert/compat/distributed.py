"""Several processes: on CPUs with gloo, where MMF knows only CUDA and NCCL, and one device for each rank."""

import functools
import os
from types import ModuleType
from typing import Any

import torch
from torch import distributed as dist

from mmf_visualbert.compat.probes import mentions, source, text_of
from mmf_visualbert.compat.replace import replace

NO_CUDA = "MMF runs several processes only with CUDA and NCCL"
ONE_PROCESS = "Cannot initialize distributed with distributed_world_size=1"  # what MMF raises
UNASKED = 'self.distributed = True self.device = torch.device("cuda", self.local_rank)'


def take_gloo_without_cuda(distributed: ModuleType) -> str | None:
    """`get_rank` and others (MMF rc10 and main) see one process without NCCL; `distributed_init` calls CUDA.

    Can go when MMF asks whether torch.distributed is initialized, and for nothing more.
    """
    asks_for_cuda = mentions(distributed.get_rank, "is_nccl_available") or mentions(
        distributed.distributed_init, "cuda"
    )
    if torch.cuda.is_available() or not dist.is_available() or not asks_for_cuda:
        return None
    replace(distributed, get_rank=rank, get_world_size=world_size, synchronize=synchronize)

    def distributed_init(config: Any) -> int:
        chosen = config.distributed
        if not dist.is_initialized():
            backend = "gloo" if chosen.backend == "nccl" else chosen.backend
            dist.init_process_group(
                backend, init_method=chosen.init_method, world_size=chosen.world_size, rank=chosen.rank
            )
        distributed.suppress_output(dist.get_rank() == 0)
        chosen.rank = dist.get_rank()
        return chosen.rank

    replace(distributed, distributed_init=distributed_init)
    return NO_CUDA


def rank() -> int:
    """This process's rank, 0 where there is one process."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def synchronize(message: str = "sync-workers") -> None:
    """Wait for all processes."""
    if world_size() > 1:
        dist.barrier()


def run_alone_with_one_process(distributed: ModuleType) -> str | None:
    """`distributed_init` (MMF rc10 and main) raises for `WORLD_SIZE=1`, which torchrun and Slurm set for one process.

    Such a run goes on as an ordinary one. Can go when MMF lets one process through.
    """
    infer = distributed.infer_init_method
    if not mentions(distributed.distributed_init, ONE_PROCESS):
        return None

    @functools.wraps(infer)
    def infer_for_several(config: Any) -> None:
        if os.environ.get("WORLD_SIZE") != "1":
            infer(config)

    replace(distributed, infer_init_method=infer_for_several)
    return "MMF would refuse WORLD_SIZE=1"


def train_release_without_cuda(base_trainer: ModuleType) -> str | None:
    """`BaseTrainer` (MMF rc10) takes CUDA devices where there are several processes. Can go with rc10."""
    return train_without_cuda(base_trainer, base_trainer.BaseTrainer, "_set_device")


def train_main_without_cuda(device: ModuleType) -> str | None:
    """`TrainerDeviceMixin` (MMF main) takes CUDA devices for several processes. Can go when it asks first."""
    return train_without_cuda(device, device.TrainerDeviceMixin, "configure_device")


def train_without_cuda(module: ModuleType, trainer: type[Any], choose: str) -> str | None:
    """Replace a trainer's choice of device, and its wrapping of the model, for several processes on CPUs."""
    choose_device = vars(trainer).get(choose)
    if torch.cuda.is_available() or choose_device is None or UNASKED not in source(choose_device):
        return None
    parallelize = trainer.parallelize_model

    @functools.wraps(choose_device)
    def choose_cpu(self: Any) -> None:
        if self.config.distributed.init_method is None:
            choose_device(self)
            return
        self.local_rank, self.device, self.distributed = self.config.device_id, torch.device("cpu"), True
        module.registry.register("current_device", self.device)
        module.registry.register("global_device", self.config.distributed.rank)

    @functools.wraps(parallelize)
    def parallelize_on_cpu(self: Any) -> None:
        if not self.distributed:
            parallelize(self)
            return
        module.registry.register("data_parallel", False)
        module.registry.register("distributed", True)
        unused = self.config.training.find_unused_parameters
        # The gradients lie where they are summed up: a copy of all weights less, in memory and in time.
        self.model = torch.nn.parallel.DistributedDataParallel(
            self.model, find_unused_parameters=unused, gradient_as_bucket_view=True
        )

    replace(trainer, **{choose: choose_cpu, "parallelize_model": parallelize_on_cpu})
    return NO_CUDA


def give_each_rank_its_device(configuration: ModuleType) -> str | None:
    """`run` (MMF rc10 and main) gives device 0 to every rank that torchrun or Slurm has started.

    Repaired where the configuration is read, because `python -m mmf_cli.run` runs a copy that cannot be reached. Can go
    when MMF reads LOCAL_RANK.
    """
    cls = configuration.Configuration
    get_config = cls.get_config
    if "LOCAL_RANK" in text_of("mmf_cli", "run.py") + text_of("mmf", "utils/distributed.py"):
        return None

    @functools.wraps(get_config)
    def with_local_device(self: Any) -> Any:
        config = get_config(self)
        if "device_id" in config and config.distributed.no_spawn:
            local = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID"))
            if local is not None:
                config.device_id = int(local)
        return config

    replace(cls, get_config=with_local_device)
    return "MMF would put all ranks on device 0"
