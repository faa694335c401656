"""Which of a detector's proposals are kept, as in bottom-up attention (Anderson et al., 2018) and Pythia.

Non-maximum suppression runs for every class by itself over the same boxes; a box's confidence is the largest class
probability with which it survives; the most confident boxes are kept.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.modules.boxes import pairwise_iou

_AT_ONCE = 1 << 25  # classes times overlaps that are looked at together, to bound memory


class Selection(NamedTuple):
    """How many proposals are kept, and which.

    Attributes:
        most: no image has more regions.
        least: the most confident ones are kept up to this number, whatever their confidence.
        score: further ones are kept where their confidence reaches this.
        nms: overlap (IoU) above which a less confident box of the same class is suppressed.
    """

    most: int
    least: int = 1
    score: float = 0.0
    nms: float = 0.5

    def __str__(self) -> str:
        counts = str(self.most) if self.least == self.most else f"{self.least} to {self.most} from score {self.score:g}"
        return f"{counts}, nms {self.nms:g} by class"


@dataclass(frozen=True)
class Kept:
    """The chosen proposals, the most confident first.

    Attributes:
        index: (N,) int64, into the proposals.
        confidence: (N,) float32, the largest class probability with which a box survives suppression.
    """

    index: Tensor
    confidence: Tensor


def select(boxes: Tensor, probabilities: Tensor, selection: Selection) -> Kept:
    """Chooses among the proposals of one image.

    Args:
        boxes: (P, 4) float, x1, y1, x2, y2.
        probabilities: (P, C) float, of the classes without background.
        selection: the rule.
    """
    ranked = rank(boxes, probabilities, selection.nms, selection.most)
    count = int((ranked.confidence >= selection.score).sum())
    count = min(max(count, selection.least), selection.most)
    return Kept(ranked.index[:count], ranked.confidence[:count])


def rank(boxes: Tensor, probabilities: Tensor, threshold: float, most: int) -> Kept:
    """The `most` most confident boxes after suppression by class; fewer where fewer survive in any class."""
    confidence = surviving_confidence(boxes, probabilities, threshold)
    values, order = confidence.sort(descending=True, stable=True)
    count = min(most, int((values > 0).sum()))
    return Kept(order[:count], values[:count].float())


def surviving_confidence(boxes: Tensor, probabilities: Tensor, threshold: float) -> Tensor:
    """(P,) float: of every box the largest class probability with which it survives, 0 where it never does.

    A box survives in a class where no surviving box that overlaps it by more than `threshold` has a higher probability.
    All classes see the same boxes, so overlaps are found once; then all boxes of all classes are decided together,
    again and again until nothing changes. What is decided rightly stays so, the most probable boxes first, so the end
    is what going through the boxes one by one gives (`surviving_confidence_by_loop`); it takes as many rounds as the
    longest chain of overlaps.
    """
    overlap = pairwise_iou(boxes.float(), boxes.float()) > threshold
    overlap.fill_diagonal_(False)
    source, target = overlap.nonzero(as_tuple=True)
    best = boxes.new_zeros(len(boxes), dtype=torch.float32)
    step = max(1, _AT_ONCE // max(len(source), len(boxes), 1))
    for part in probabilities.float().T.split(step):  # (classes, P)
        part = part.contiguous()
        alive = torch.ones_like(part, dtype=torch.bool)
        while True:
            rivals = part.where(alive, part.new_zeros(())).index_select(1, source)
            strongest = torch.zeros_like(part).scatter_reduce_(1, target.expand_as(rivals), rivals, "amax")
            decided = part >= strongest
            if torch.equal(decided, alive):
                break
            alive = decided
        best = torch.maximum(best, part.where(alive, part.new_zeros(())).amax(0))
    return best


def surviving_confidence_by_loop(boxes: Tensor, probabilities: Tensor, threshold: float) -> Tensor:
    """As `surviving_confidence`: every class in turn, every box in turn."""
    overlap = pairwise_iou(boxes.float(), boxes.float()) > threshold
    best = torch.zeros(len(boxes))
    for label in range(probabilities.shape[1]):
        column = probabilities[:, label].float()
        survivors: list[int] = []
        for index in column.argsort(descending=True, stable=True).tolist():
            if not any(overlap[index, other] and column[other] > column[index] for other in survivors):
                survivors.append(index)
                best[index] = max(best[index], column[index])
    return best
