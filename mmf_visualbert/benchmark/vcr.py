"""Batches of VCR: four sequences a question, an image with its objects' boxes and masks, texts of known lengths.

Shapes: B questions, C = 4 sequences, T word pieces, R regions, an image of 768 x 384 pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.benchmark.ours import random_parts, shipped
from mmf_visualbert.benchmark.workloads import PADDED_WORDS, VOCABULARY
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.tasks.vcr.objects import mentioned_objects
from mmf_visualbert.tasks.vcr.records import CHOICES, VcrAnnotations

MODES = {"vcr_answer": "answer", "vcr_rationale": "rationale"}
REGIONS, PIECES_A_WORD = 32, 1.15
# Mean words, as VCR's authors state them.
STATED_WORDS = {"question": 6.6, "answer": 7.5, "rationale": 16.2}
# For the count of padding the sizes of the model do not matter.
TINY = [f"model_config.visualbert.size.{key}=8" for key in ("hidden_size", "intermediate_size")] + [
    *(f"model_config.visualbert.size.{key}=1" for key in ("num_hidden_layers", "num_attention_heads")),
    "model_config.visualbert.region_dimension=1",
    "model_config.visualbert.region_encoder=null",
]


class Questions(NamedTuple):
    """Sizes of N questions.

    Attributes:
        pieces: (N, C) int, word pieces of each sequence, special ones counted.
        regions: (N,) int, the whole image counted.
    """

    pieces: np.ndarray
    regions: np.ndarray

    def part(self, start: int, count: int) -> "Questions":
        """Questions `start` to `start + count`."""
        return Questions(self.pieces[start : start + count], self.regions[start : start + count])

    def describe(self) -> str:
        """Their means in words."""
        return f"{self.pieces.mean():.1f} word pieces a sequence and {self.regions.mean():.1f} regions on average"


def read_questions(workload: str, annotations: Sequence[Path], batch: int, seed: int) -> Questions:
    """Questions with the lengths of annotations, or drawn with the mean lengths that VCR's authors state.

    Args:
        workload: "vcr_answer" or "vcr_rationale".
        annotations: VCR's official JSON lines; none to draw.
        batch: B; 64 batches are drawn.
        seed: of the draw.

    Raises:
        InputError: for annotations that cannot be read, or with fewer questions than a batch.
    """
    if annotations:
        records = list(VcrAnnotations(annotations, labels_required=False))
        shapes = [([len(r.question)] * CHOICES, [*map(len, r.answers)], [*map(len, r.rationales)]) for r in records]
        words = {name: PIECES_A_WORD * np.array([s[i] for s in shapes]) for i, name in enumerate(STATED_WORDS)}
        regions = np.array([1 + len(mentioned_objects(record)) for record in records])
    else:
        random = np.random.default_rng(seed)
        words = {name: _drawn(mean, (64 * batch, CHOICES), random) for name, mean in STATED_WORDS.items()}
        regions = 2 + random.poisson(2.4, 64 * batch)
    if len(regions) < batch:
        raise InputError(f"--annotations hold {len(regions)} questions, fewer than --batch {batch}; give more")
    mode = MODES[workload]
    context = words["question"][:, :1] + (words["answer"][:, :1] if mode == "rationale" else 0)
    pieces = np.minimum(np.round(context + words[mode] + 3), PADDED_WORDS).astype(int)
    return Questions(pieces, np.minimum(regions, REGIONS))


def _drawn(mean: float, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    spread = np.sqrt(np.log(1.25))  # half the mean is the deviation
    return PIECES_A_WORD * random.lognormal(np.log(mean) - spread**2 / 2, spread, shape).clip(1)


def draw_questions(questions: Questions, size: tuple[int, int], image: bool = True) -> dict[str, Tensor]:
    """A batch of questions with these sizes, on a canvas of `size` (width, height); without `image` no pixels."""
    count = len(questions.regions)
    text_mask = torch.arange(PADDED_WORDS) < torch.from_numpy(questions.pieces)[..., None]
    region_mask = torch.arange(REGIONS) < torch.from_numpy(questions.regions)[:, None]
    corners = torch.rand(count, REGIONS, 2, 2).sort(dim=2).values.flatten(2) * torch.tensor([*size, *size])
    batch = {
        "input_ids": torch.randint(1000, VOCABULARY, text_mask.shape) * text_mask,
        "text_mask": text_mask,
        "text_segments": torch.zeros(text_mask.shape, dtype=torch.int64),
        "alignment": torch.full((count, CHOICES, REGIONS, 8), -1),
        "region_pixel_boxes": corners * region_mask[..., None],
        "region_masks": (torch.rand(count, REGIONS, 14, 14) > 0.5).float(),
        "region_classes": torch.ones(count, REGIONS, dtype=torch.int64) * region_mask,
        "region_mask": region_mask,
        "region_segments": torch.zeros(count, REGIONS, dtype=torch.int64),
        "targets": torch.zeros(count, dtype=torch.int64),
    }
    return {**batch, "image": torch.randn(count, 3, size[1], size[0])} if image else batch


def padding_share(workload: str, questions: Questions, batch: int, overrides: Sequence[str] = ()) -> float:
    """Share of padding among the tokens that enter the first layer of our model, over all whole batches."""
    visual_bert = random_parts(shipped(workload, [*overrides, *TINY])).visual_bert
    computed: list[int] = []
    visual_bert.encoder.layer[0].register_forward_hook(
        lambda _, given, __: computed.append(given[0].shape[:-1].numel())
    )
    real = 0
    for start in range(0, len(questions.regions) - batch + 1, batch):
        drawn = draw_questions(questions.part(start, batch), (8, 8), image=False)
        with torch.no_grad():
            visual_bert(*visual_bert_inputs(drawn, torch.zeros(batch, REGIONS, 1)))
        real += int(drawn["text_mask"].sum() + CHOICES * drawn["region_mask"].sum())
    return 1 - real / sum(computed)
