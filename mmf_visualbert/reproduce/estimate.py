"""How long a phase will take and how much disk it needs, by arithmetic: nothing is run."""

from typing import NamedTuple

from mmf_visualbert import catalog
from mmf_visualbert.contracts import Load, Phase
from mmf_visualbert.reproduce.plan import Plan

HIDDEN, LAYERS, VOCABULARY = 768, 12, 30522
PARAMETERS = 112e6  # BERT-base, region tables and projection, a head


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
    load = catalog.task(plan.task).loads[phase.name]
    updates = -(-load.samples // load.batch) * load.epochs
    seconds = load.samples * load.epochs * training_flops(load) / (tflops * 1e12)
    return Estimate(updates, seconds / 3600, 3 * PARAMETERS * 12 / 1e9)


def training_flops(load: Load) -> float:
    """Forward and backward (twice the forward) of one sample: 2 a multiply-add, matrix products only."""
    tokens = load.words / load.sequences + load.regions
    linear = LAYERS * 12 * HIDDEN**2 * tokens
    attention = LAYERS * 2 * HIDDEN * tokens**2
    return 3 * 2 * (linear + attention) * load.sequences
