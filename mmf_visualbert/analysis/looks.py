"""One example of the explorer: what the page gets of it, small enough for hundreds.

Weights are bytes: 255 stands for the largest of a head, which is written beside. All of an example's are one gzip.
"""

import base64
import gzip
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.analysis.watching import Seen
from mmf_visualbert.contracts import Depicted, Reply
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.modules.boxes import pairwise_iou
from mmf_visualbert.processors.text import WordPieceTokenizer

MATCH = 0.5


class Region(NamedTuple):
    """A region on the page: its image, its number there, its box in pixels, and the gold boxes it belongs to or -1."""

    image: int
    number: int
    box: tuple[float, ...] | None
    group: int


def regions_of(seen: Seen, depicted: Depicted) -> list[Region]:
    """The N regions that the model read, in its order; of two images by their segments."""
    segments = seen.sample["region_segments"][seen.regions].tolist()
    images = [number if len(depicted.records) > 1 else 0 for number in segments]
    numbers: list[int] = []
    for place, image in enumerate(images):
        numbers.append(images[:place].count(image))
    found = []
    for image, number in zip(images, numbers, strict=True):
        record = depicted.records[image]
        box = None if record.boxes is None else tuple(round(float(x), 1) for x in record.boxes[number])
        found.append(Region(image, number, box, -1 if box is None else group_of(box, image, depicted)))
    return found


def group_of(box: Sequence[float], image: int, depicted: Depicted) -> int:
    """The gold boxes that a region covers best, by number; -1 where none reaches an IoU of 0.5 (§5.3)."""
    best, chosen = MATCH, -1
    for number, gold in enumerate(depicted.boxes):
        if gold.image == image and gold.boxes:
            iou = float(pairwise_iou(corners([box]), corners(gold.boxes)).max())
            if iou >= best and (chosen < 0 or iou > best):
                best, chosen = iou, number
    return chosen


def corners(boxes: Sequence[Sequence[float]]) -> Tensor:
    """(N, 4) float32."""
    return torch.tensor([list(box) for box in boxes], dtype=torch.float32)


def quantised(weights: Tensor) -> tuple[np.ndarray, list[float]]:
    """Weights (M, ...) as bytes, each of the M by its own largest, and these."""
    flat = weights.detach().float().clamp(min=0).flatten(1)
    largest = flat.amax(dim=1)
    scaled = flat / largest.clamp(min=torch.finfo(torch.float32).tiny)[:, None] * 255
    return scaled.round().to(torch.uint8).numpy(), [float(f"{x:.6g}") for x in largest.tolist()]


def packed(seen: Seen) -> dict[str, Any]:
    """All weights: `data`, the base64 of a gzip of bytes, and the scales of its parts in their order.

    The parts are raw (L · heads, T, N), special (L · heads, T), rollout (T, N), relevance (T, N), answer (T + N,).
    """
    parts = {
        "raw": seen.raw.flatten(0, 1),
        "special": seen.special.flatten(0, 1),
        "rollout": seen.rollout[None],
        "relevance": seen.relevance[None],
        "answer": seen.answer[None],
    }
    content, scales = b"", {}
    for name, weights in parts.items():
        numbers, scales[name] = quantised(weights)
        content += numbers.tobytes()
    return {"data": base64.b64encode(gzip.compress(content, 9, mtime=0)).decode(), "scales": scales}


def is_right(depicted: Depicted, replies: Sequence[Reply]) -> bool | None:
    """Whether the first answer is right, for phrases all first regions; None where that is not known."""
    if not replies:
        return None
    if depicted.gold:
        return replies[0].answer in depicted.gold
    if depicted.boxes and replies[0].box is not None:
        each = len(replies) // len(depicted.boxes)
        firsts = replies[:: max(each, 1)]
        return all(covers(reply, gold.boxes) for reply, gold in zip(firsts, depicted.boxes, strict=False))
    return None


def covers(reply: Reply, boxes: Sequence[Sequence[float]]) -> bool:
    """Whether the box of a reply has an IoU of at least 0.5 with any of some boxes."""
    if reply.box is None or not boxes:
        return False
    return bool((pairwise_iou(corners([reply.box]), corners(boxes)) >= MATCH).any())


def look(
    seen: Seen,
    depicted: Depicted,
    replies: Sequence[Reply],
    tokenizer: WordPieceTokenizer,
    pictures: Sequence[str | None],
) -> dict[str, Any]:
    """What the page gets of one example.

    Args:
        seen: while the model read it.
        depicted: what the data set says of it.
        replies: of the model.
        tokenizer: that made its word pieces.
        pictures: of each image a `data:` address; None for a blank canvas.
    """
    regions = regions_of(seen, depicted)
    right = is_right(depicted, replies)
    return {
        "name": depicted.name,
        "kind": depicted.kind,
        "text": depicted.text,
        "right": right,
        "words": [tokenizer.token(index) for index in seen.words.tolist()],
        "images": [
            {"key": key, "src": picture, **size_of(record)}
            for key, picture, record in zip(depicted.images, pictures, depicted.records, strict=True)
        ],
        "regions": [[each.image, each.number, each.box, each.group] for each in regions],
        "groups": [
            {"label": gold.label, "image": gold.image, "boxes": [[round(x, 1) for x in box] for box in gold.boxes]}
            for gold in depicted.boxes
        ],
        "answers": [[reply.about, reply.answer, round(reply.probability, 4)] for reply in replies],
        "gold": list(depicted.gold),
        **packed(seen),
    }


def size_of(record: RegionRecord) -> dict[str, float]:
    """Width and height of an image in the pixels of its boxes; what the boxes reach where the store does not say."""
    if record.width and record.height:
        return {"width": record.width, "height": record.height}
    if record.boxes is None or not len(record.boxes):
        return {"width": 100, "height": 100}
    right, bottom = record.boxes[:, 2:].max(0).tolist()
    return {"width": right, "height": bottom}
