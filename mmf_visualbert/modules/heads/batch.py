"""What heads ask of a batch."""

from collections.abc import Mapping

import torch
from torch import Tensor


def number_of_samples(batch: Mapping[str, Tensor], texts: int) -> int:
    """B of a batch of `texts` = B * C texts: the length of its `id` (B,), or of unflattened `input_ids`."""
    if "id" in batch:
        return batch["id"].size(0)
    return batch["input_ids"].size(0) if "input_ids" in batch and batch["input_ids"].dim() == 3 else texts


def no_rows(batch: Mapping[str, Tensor]) -> Tensor:
    """(texts, T) bool without any True, for a head that reads the pooled state alone."""
    ids = batch["input_ids"]
    return torch.zeros_like(ids.reshape(-1, ids.size(-1)), dtype=torch.bool)
