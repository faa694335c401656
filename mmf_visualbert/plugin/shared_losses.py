"""Our losses in MMF: on several processes they are those of the whole batch, as on one."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from mmf_visualbert.compat.distributed import world_size
from mmf_visualbert.contracts import CountedLoss, Mean

NOT_COUNTED = "not_counted"  # () in a sample that stands in for none, see `datasets.order.Place`
IDS = ("id", "question_id", "image_id")


class SharedLoss(nn.Module):
    """A loss as MMF calls it.

    Args:
        part: the plain one, of one process's share.
    """

    def __init__(self, part: Any) -> None:
        super().__init__()
        self.part = part

    def forward(self, sample_list: Mapping[str, Any], model_output: Mapping[str, Any]) -> Tensor:
        """The loss of the whole batch, ()."""
        if world_size() == 1:
            return self.part(sample_list, model_output)
        return shared(mean_of(self.part, sample_list, model_output), NOT_COUNTED not in sample_list)


def mmf_loss(part: Callable[..., Any]) -> type[SharedLoss]:
    """The class that MMF builds in place of a plain loss, with the same settings."""

    class Loss(SharedLoss):
        def __init__(self, **settings: Any) -> None:
            super().__init__(part(**settings))

    Loss.__name__ = Loss.__qualname__ = part.__name__
    return Loss


def mean_of(loss: Any, sample_list: Mapping[str, Any], model_output: Mapping[str, Any]) -> Mean:
    """This process's share of a loss, which is a mean over samples where it does not say otherwise."""
    if isinstance(loss, CountedLoss):
        return loss.mean(sample_list, model_output)
    value = loss(sample_list, model_output)
    count = value.new_full((), len(ids_of(sample_list)))
    return Mean(value * count, count)


def shared(mean: Mean, counted: bool) -> Tensor:
    """The loss whose mean over R processes, and whose gradient's, is that of the whole batch: R · total / all counts.

    Where it is no number on one process, it is none on all of them.

    Args:
        mean: this process's share.
        counted: False where the share stands in for none.
    """
    weight = 1.0 if counted else 0.0
    sums = torch.stack([mean.total.detach().double() * weight, mean.number.double() * weight])
    dist.all_reduce(sums)
    divisor = (sums[1] / world_size()).masked_fill(sums[1] == 0, 1).to(mean.total.dtype)
    own = mean.total * weight / divisor
    return own + (sums[0] * 0).to(own.dtype)


def batch_size(sample_list: Mapping[str, Any]) -> int:
    """Number of samples of a batch on all processes together."""
    ids = ids_of(sample_list)
    size = ids.new_full((), 0 if NOT_COUNTED in sample_list else len(ids), dtype=torch.int64)
    if world_size() > 1:
        dist.all_reduce(size)
    return int(size)


def ids_of(sample_list: Mapping[str, Any]) -> Tensor:
    """What names the samples of a batch (B,): ours have `id`, those of MMF's data sets others."""
    for name in IDS:
        value = sample_list.get(name)
        if isinstance(value, Tensor) and value.dim() == 1 and not value.is_floating_point():
            return value
    first = next(value for value in sample_list.values() if isinstance(value, Tensor) and value.dim())
    return torch.arange(len(first), device=first.device)
