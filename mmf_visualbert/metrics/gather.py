"""Per-sample values of all ranks, each sample once."""

import torch
import torch.distributed as dist
from torch import Tensor


def gather_by_id(ids: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Collects values over all ranks, drops repeated samples, and sorts by id.

    MMF computes a metric on each rank and averages the results, and its DistributedSampler repeats samples to fill the
    last batch. With what this returns, a metric covers exactly the samples of the dataset, on every rank alike. All
    ranks have to call it. Without torch.distributed it only drops and sorts.

    Args:
        ids: (B,) int64, index of each sample in its dataset; B may differ between ranks.
        values: (B, ...) each, any dtype.

    Returns:
        One tensor for each of `values`, (number of distinct ids, ...), with the device and dtype it came with. Pass
        `ids` among the values where they are needed.

    Raises:
        ValueError: where a value's first dimension is not B.
    """
    for value in values:
        if len(value) != len(ids):
            raise ValueError(f"{len(ids)} ids, but a value of shape {tuple(value.shape)}")
    ids, *gathered = (gather(tensor) for tensor in (ids, *values))
    order = torch.argsort(ids, stable=True)
    ordered = ids[order]
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    kept = order[first]
    return tuple(value[kept] for value in gathered)


def gather(tensor: Tensor) -> Tensor:
    """The tensors of all ranks along dimension 0, in the order of the ranks."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return tensor
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    # Booleans travel as bytes: not every back-end takes them.
    sent = tensor.detach().to(device, torch.uint8 if tensor.dtype == torch.bool else tensor.dtype)
    size = torch.tensor([len(sent)], device=device)
    sizes = [torch.zeros_like(size) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, size)
    longest = max(int(s) for s in sizes)
    padded = sent.new_zeros(longest, *sent.shape[1:])
    padded[: len(sent)] = sent
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(s)] for part, s in zip(parts, sizes, strict=True)]).to(tensor.device, tensor.dtype)
