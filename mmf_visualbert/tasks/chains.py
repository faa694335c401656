"""The three phases of §3.3 as chains of runs, which several tasks share."""

from mmf_visualbert.contracts import Phase

COCO, TASK, FINE = "pretrain_coco", "pretrain_task", "defaults"
ALL, NO_COCO = (COCO, TASK, FINE), (TASK, FINE)
LATE = ("variants/no_early_fusion",)
FULL_LABEL, LATE_LABEL, NO_COCO_LABEL = "VisualBERT", "VisualBERT w/o Early Fusion", "VisualBERT w/o COCO Pre-training"
# Karpathy's train split: 113,287 images with 5 captions, each caption an anchor.
COCO_CAPTIONS = 566_435


def chain(
    names: tuple[str, ...],
    everywhere: tuple[str, ...] = (),
    coco: tuple[str, ...] = (),
    before: str | None = None,
    overrides: tuple[str, ...] = (),
) -> tuple[Phase, ...]:
    """Phases one after the other.

    Args:
        names: of the phases.
        everywhere: overlays for all of them.
        coco: further overlays for the phase on COCO captions.
        before: the phase that they follow.
        overrides: `key=value` for all of them.
    """
    phases = []
    for name in names:
        phases.append(Phase(name, before, everywhere + (coco if name == COCO else ()), overrides))
        before = name
    return tuple(phases)


THREE = {"full": chain(ALL), "no_early_fusion": chain(ALL, LATE), "no_coco": chain(NO_COCO)}
"""The variants of Tables 1, 3 and 4."""
