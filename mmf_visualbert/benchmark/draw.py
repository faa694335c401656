"""The batch that all contenders of a benchmark get: drawn once, from a stated distribution."""

import torch
from torch import Tensor

from mmf_visualbert.benchmark.workloads import ANSWERS, PADDED_WORDS, VOCABULARY, WORKLOADS

CLS, SEP, MASK = 101, 102, 103


def draw(name: str, batch: int, regions: int, dimension: int, seed: int) -> dict[str, Tensor]:
    """A batch: `input_ids`, `text_mask`, `text_segments` (B, 128), `region_features` (B, R, D), labels.

    Args:
        name: of a workload with `lengths`.
        batch: B.
        regions: of an image; every image has them all. R is as many times as a text has images.
        dimension: D.
        seed: of the draw.

    Raises:
        ValueError: for a workload without `lengths`.
    """
    torch.manual_seed(seed)
    workload = WORKLOADS[name]
    spread = workload.lengths
    if spread is None:
        raise ValueError(f"the workload {name} states no lengths of its texts")
    lengths = (torch.randn(batch) * spread.deviation + spread.mean).round().clamp(spread.least, spread.most).long()
    mask = torch.arange(PADDED_WORDS) < lengths[:, None]
    ids = torch.randint(1000, VOCABULARY, (batch, PADDED_WORDS)) * mask
    ids[:, 0] = CLS
    rows = torch.arange(batch)
    ids[rows, lengths - 1] = SEP
    images = workload.images
    sample = {
        "text_mask": mask,
        "text_segments": torch.zeros_like(ids),
        "region_features": torch.randn(batch, images * regions, dimension).clamp(min=0),
        "region_mask": torch.ones(batch, images * regions, dtype=torch.bool),
        "region_segments": torch.arange(images).repeat_interleave(regions).expand(batch, -1).contiguous(),
    }
    if name == "vqa":
        ids[rows, lengths - 2] = MASK
        targets = torch.zeros(batch, ANSWERS)
        targets[rows, torch.randint(ANSWERS, (batch,))] = 1.0
        sample |= {"answer_position": lengths - 2, "targets": targets}
    if name == "pretrain":
        sample["text_segments"] = ((torch.arange(PADDED_WORDS) >= (lengths // 2)[:, None]) & mask).long()
        sample |= _masked(ids, mask, lengths)
        sample["sentence_image_labels"] = torch.randint(2, (batch,))
    if name == "nlvr2":
        sample["targets"] = torch.randint(2, (batch,))
    return {"input_ids": ids, **sample}


def _masked(ids: Tensor, mask: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """15 % of the word pieces masked, at least one a text."""
    chosen = (torch.rand(ids.shape) < 0.15) & mask
    chosen[:, 0] = False
    chosen[torch.arange(len(ids)), lengths - 1] = False
    chosen[:, 1] |= ~chosen.any(dim=1)
    labels = torch.where(chosen, ids, -1)
    ids[chosen] = MASK
    return {"masked_lm_labels": labels, "targets": labels}


def tokens(sample: dict[str, Tensor]) -> int:
    """Tokens that hold something: word pieces, and regions, which each sequence of an image reads."""
    sequences = sample["text_mask"].numel() // (len(sample["text_mask"]) * sample["text_mask"].shape[-1])
    return int(sample["text_mask"].sum() + sequences * sample["region_mask"].sum())
