"""The batches that all contenders of a benchmark get: drawn once, from a stated distribution."""

from typing import NamedTuple

import torch
from torch import Tensor

VOCABULARY, REGION_DIMENSION, ANSWERS, CLS, SEP, MASK = 30522, 2048, 3129, 101, 102, 103
PADDED_WORDS = 128  # what MMF's own configs pad every text to


class Lengths(NamedTuple):
    """Lengths of texts in word pieces, special tokens counted: normal, rounded, clipped."""

    mean: float
    deviation: float
    least: int
    most: int

    def describe(self) -> str:
        """The distribution in words."""
        return f"normal({self.mean}, {self.deviation}) clipped to [{self.least}, {self.most}] word pieces"


# VQA 2.0: questions of about 6 words, "?", [MASK] and two special tokens. COCO: two captions of about 11 pieces each.
LENGTHS = {"vqa": Lengths(10.6, 2.5, 7, 24), "pretrain": Lengths(26, 4, 19, 50), "nlvr2": Lengths(21, 6, 9, 45)}


def draw(workload: str, batch: int, regions: int, seed: int) -> dict[str, Tensor]:
    """A batch: `input_ids`, `text_mask`, `text_segments` (B, 128), `region_features` (B, R, 2048), labels.

    Args:
        workload: "vqa", "pretrain" or "nlvr2" (then R is twice `regions`: two images).
        batch: B.
        regions: of an image; every image has them all.
        seed: of the draw.
    """
    torch.manual_seed(seed)
    spread = LENGTHS[workload]
    lengths = (torch.randn(batch) * spread.deviation + spread.mean).round().clamp(spread.least, spread.most).long()
    mask = torch.arange(PADDED_WORDS) < lengths[:, None]
    ids = torch.randint(1000, VOCABULARY, (batch, PADDED_WORDS)) * mask
    ids[:, 0] = CLS
    rows = torch.arange(batch)
    ids[rows, lengths - 1] = SEP
    images = 2 if workload == "nlvr2" else 1
    sample = {
        "text_mask": mask,
        "text_segments": torch.zeros_like(ids),
        "region_features": torch.randn(batch, images * regions, REGION_DIMENSION).clamp(min=0),
        "region_mask": torch.ones(batch, images * regions, dtype=torch.bool),
        "region_segments": torch.arange(images).repeat_interleave(regions).expand(batch, -1).contiguous(),
    }
    if workload == "vqa":
        ids[rows, lengths - 2] = MASK
        targets = torch.zeros(batch, ANSWERS)
        targets[rows, torch.randint(ANSWERS, (batch,))] = 1.0
        sample |= {"answer_position": lengths - 2, "targets": targets}
    if workload == "pretrain":
        sample["text_segments"] = ((torch.arange(PADDED_WORDS) >= (lengths // 2)[:, None]) & mask).long()
        sample |= _masked(ids, mask, lengths)
        sample["sentence_image_labels"] = torch.randint(2, (batch,))
    if workload == "nlvr2":
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
    """Tokens that hold something: word pieces and regions."""
    return int(sample["text_mask"].sum() + sample["region_mask"].sum())
