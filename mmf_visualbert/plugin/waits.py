"""What of a training step would wait for the GPU, put off until the answer is there anyway."""

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.plugin.configuration import MODEL


class Finite:
    """Whether losses are numbers, asked of the device at once and read later, when it has long answered.

    Args:
        losses: by term, one at least, of any shape.
    """

    def __init__(self, losses: Mapping[str, Tensor]) -> None:
        values = [value.detach().float().mean() for value in losses.values()]
        finite = torch.stack(values).isfinite().all()
        on_gpu = finite.device.type == "cuda"
        self._answer = torch.empty((), dtype=torch.bool, pin_memory=on_gpu)
        self._answer.copy_(finite, non_blocking=True)
        self._copied = torch.cuda.Event() if on_gpu else None
        if self._copied is not None:
            self._copied.record()

    def read(self) -> bool:
        """The answer; waits only for what was queued before the question."""
        if self._copied is not None:
            self._copied.synchronize()
        return bool(self._answer)


def put_off(losses: Mapping[str, Tensor]) -> bool:
    """Whether these losses are looked at before the optimizer's step, and not at once: where that would be a wait."""
    return any(map(waits, losses.values()))


def write_norms_when_logged(logger: ModuleType) -> str | None:
    """`TensorboardLogger.add_scalars` (MMF rc10 and main) reads the norm of the gradients at each update. Stays.

    Of our model on a GPU, what lies there is read at every `training.log_interval` alone.
    """
    cls = logger.TensorboardLogger
    add_scalars = cls.add_scalars

    @functools.wraps(add_scalars)
    def add_when_logged(self: Any, scalar_dict: Mapping[str, Any], iteration: int) -> None:
        from mmf.common.registry import registry

        config = registry.get("config", no_warning=True)
        if config is not None and config.get("model") == MODEL and (iteration + 1) % config.training.log_interval:
            scalar_dict = {name: value for name, value in scalar_dict.items() if not waits(value)}
        add_scalars(self, scalar_dict, iteration)

    replace(cls, add_scalars=add_when_logged)
    return "MMF would wait for the GPU at each update, to write the norm of the gradients"


def waits(value: Any) -> bool:
    """Whether reading a value waits for a device."""
    return isinstance(value, Tensor) and value.device.type == "cuda"
