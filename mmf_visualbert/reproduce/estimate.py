"""How long a phase will take and how much disk it needs, by arithmetic: nothing is run."""

from typing import NamedTuple

from mmf_visualbert.reproduce.plan import COCO, FINE, RATIONALE, TASK, Phase, Plan

HIDDEN, LAYERS, VOCABULARY = 768, 12, 30522
PARAMETERS = 112e6  # BERT-base, region tables and projection, a head


class Load(NamedTuple):
    """What a phase of the paper has to get through.

    Attributes:
        samples: of one epoch (official sizes of the splits).
        epochs: as the paper has them.
        batch: samples an update.
        words: word pieces of a sample, about, over all its sequences.
        sequences: sequences a sample (VCR has one for each choice).
        regions: of each sequence.
    """

    samples: int
    epochs: int
    batch: int
    words: int
    sequences: int
    regions: int


# Karpathy's train split: 113,287 images with 5 captions, each caption an anchor.
_COCO = 566_435
LOADS: dict[tuple[str, str], Load] = {
    ("vqa2", COCO): Load(_COCO, 10, 48, 26, 1, 100),
    ("vqa2", TASK): Load(658_111, 10, 64, 11, 1, 100),
    ("vqa2", FINE): Load(658_111, 10, 64, 11, 1, 100),
    ("nlvr2", COCO): Load(_COCO, 10, 64, 26, 1, 144),
    ("nlvr2", TASK): Load(86_373, 10, 64, 21, 1, 288),
    ("nlvr2", FINE): Load(86_373, 10, 64, 21, 1, 288),
    ("flickr30k", COCO): Load(_COCO, 10, 32, 26, 1, 45),
    ("flickr30k", TASK): Load(148_915, 10, 32, 16, 1, 45),
    ("flickr30k", FINE): Load(148_915, 5, 32, 16, 1, 45),
    ("vcr", COCO): Load(_COCO, 10, 128, 26, 1, 12),
    ("vcr", TASK): Load(212_923, 1, 32, 8 * 35, 8, 6),
    ("vcr", FINE): Load(212_923, 8, 32, 4 * 25, 4, 6),
    ("vcr", RATIONALE): Load(212_923, 12, 32, 4 * 45, 4, 6),
}


class Estimate(NamedTuple):
    """`updates`; `hours` on one device; `gigabytes` of checkpoints (best, current and final, with Adam's moments)."""

    updates: int
    hours: float
    gigabytes: float


def estimate(plan: Plan, phase: Phase, tflops: float) -> Estimate:
    """Cost of a phase at the paper's scale.

    Args:
        plan: names the task.
        phase: the phase.
        tflops: what one device sustains in training, in TFLOP/s.
    """
    load = LOADS[plan.task, phase.name]
    updates = -(-load.samples // load.batch) * load.epochs
    seconds = load.samples * load.epochs * training_flops(load) / (tflops * 1e12)
    return Estimate(updates, seconds / 3600, 3 * PARAMETERS * 12 / 1e9)


def training_flops(load: Load) -> float:
    """Forward and backward (twice the forward) of one sample: 2 a multiply-add, matrix products only."""
    tokens = load.words / load.sequences + load.regions
    linear = LAYERS * 12 * HIDDEN**2 * tokens
    attention = LAYERS * 2 * HIDDEN * tokens**2
    return 3 * 2 * (linear + attention) * load.sequences
