"""What of a batch the CPU knows, so that a step never waits for the device to say it.

A length, or where a mask is True, decides the shapes of what follows, which the CPU has to know. Asked of a tensor on a
GPU, it waits until all that was queued there is done. A batch comes from the CPU, so its small tensors stay at hand.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

NAME = "on_host"  # of the field of a batch
SMALL = 2**16  # numbers of a floating point tensor that is kept


class OnHost:
    """A batch's masks, ids and labels in the CPU's memory, by their names.

    Frameworks leave it where it is: a mapping of tensors they would send to the device with the rest (MMF main's
    `SampleList.copy` makes one of its own of each).

    Args:
        batch: on the CPU; its large floating point tensors, such as features and images, are left out.
    """

    def __init__(self, batch: Mapping[str, Any]) -> None:
        self._tensors = {
            name: value
            for name, value in batch.items()
            if isinstance(value, Tensor)
            and value.device.type == "cpu"
            and (value.numel() <= SMALL or not value.is_floating_point())
        }

    def get(self, name: str) -> Tensor | None:
        """The tensor of this name; None where there is none."""
        return self._tensors.get(name)


def known(batch: Mapping[str, Any], name: str) -> Tensor | None:
    """A tensor of the batch in the CPU's memory; None where the batch did not bring it along, or was cut since."""
    host = batch.get(NAME)
    value = host.get(name) if isinstance(host, OnHost) else None
    return value if value is not None and name in batch and value.shape == batch[name].shape else None


def on_cpu(batch: Mapping[str, Any], name: str) -> Tensor:
    """A tensor of the batch in the CPU's memory, for which the device is waited for where it did not bring it along."""
    value = known(batch, name)
    return (batch[name] if value is None else value).cpu()


def host_view(batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """The batch with what it brought along in place of the same on the device."""
    found = {name: known(batch, name) for name in batch}
    return {**batch, **{name: value for name, value in found.items() if value is not None}}


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A small tensor of the CPU's on the device, without waiting for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def places(mask: Tensor, device: torch.device) -> tuple[Tensor, ...]:
    """Where `mask`, in the CPU's memory, is True: one index a dimension on the device, in row-major order."""
    return to_device(mask.nonzero(), device).unbind(1)
