"""Which MMF runs make up a variant of the paper, and what each run's config is made of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert.errors import InputError

SCALES = ("sample", "paper")
COCO, TASK, FINE, RATIONALE = "pretrain_coco", "pretrain_task", "defaults", "rationale"


class Phase(NamedTuple):
    """One MMF run.

    Attributes:
        name: of the task's yaml, and of the run's folder.
        start_from: the phase whose best checkpoint it starts from; None for BERT's weights.
        overlays: yaml files over the phase's own, as paths below the configs folder without their ending.
    """

    name: str
    start_from: str | None
    overlays: tuple[str, ...] = ()


class Merge(NamedTuple):
    """Two phases whose models answer together.

    Attributes:
        answers: name of the phase that trains the Q→A model.
        rationales: of the one that trains the QA→R model.
        splits: that both predict.
    """

    answers: str
    rationales: str
    splits: tuple[str, ...] = ("val", "test")


class Plan(NamedTuple):
    """All runs of a variant, in order. The last one, or the last two together (`merge`), give the row."""

    task: str
    variant: str
    scale: str
    phases: tuple[Phase, ...]
    merge: Merge | None = None


def _chain(
    names: tuple[str, ...],
    everywhere: tuple[str, ...] = (),
    coco: tuple[str, ...] = (),
    before: str | None = None,
) -> tuple[Phase, ...]:
    """Phases one after the other, with overlays for all of them and more for COCO; `before` is the one they follow."""
    phases = []
    for name in names:
        phases.append(Phase(name, before, everywhere + (coco if name == COCO else ())))
        before = name
    return tuple(phases)


_ALL, _NO_COCO = (COCO, TASK, FINE), (TASK, FINE)
_LATE = ("variants/no_early_fusion",)
_36 = ("variants/regions_36",)
_THREE = {"full": _chain(_ALL), "no_early_fusion": _chain(_ALL, _LATE), "no_coco": _chain(_NO_COCO)}


def _vcr(names: tuple[str, ...], everywhere: tuple[str, ...] = ()) -> tuple[Phase, ...]:
    """VCR ends in two models, each fine-tuned from the same pre-training (§4.2)."""
    before = _chain(names, everywhere)
    return (*before, *(Phase(last, names[-1], everywhere) for last in (FINE, RATIONALE)))


VARIANTS: dict[str, dict[str, tuple[Phase, ...]]] = {
    "vqa2": {
        **_THREE,
        # What Table 1 reports is trained on train and val, so that only the leaderboard can say how good it is.
        "train_val": _chain((COCO,)) + _chain(_NO_COCO, ("variants/vqa2_train_val",), before=COCO),
    },
    "flickr30k": _THREE,
    "nlvr2": {
        **_THREE,
        "ablation_full": _chain(_ALL, _36),
        "ablation_text_only_coco": _chain(_ALL, _36, ("variants/text_only_coco",)),
        "ablation_no_coco": _chain(_NO_COCO, _36),
        "ablation_no_early_fusion": _chain(_ALL, _36 + _LATE),
        "ablation_no_bert": _chain(_ALL, (*_36, "variants/no_bert")),
        "ablation_no_objective_2": _chain(_ALL, _36, ("variants/no_objective_2",)),
        **{f"regions_{n}": _chain(_ALL, (f"variants/regions_{n}",)) for n in (9, 18, 36, 72, 144)},
    },
    "vcr": {
        "full": _vcr((COCO, TASK)),
        "no_early_fusion": _vcr((COCO, TASK), _LATE),
        "no_coco": _vcr((TASK,), ("variants/fixed_resnet",)),
        "fixed_resnet": _vcr((COCO, TASK), ("variants/fixed_resnet",)),
    },
}

MERGES: dict[str, Merge] = {"vcr": Merge(FINE, RATIONALE)}


def make_plan(task: str, variant: str, scale: str) -> Plan:
    """The runs of a variant.

    Raises:
        InputError: for a task, variant or scale that there is not; the message lists what there is.
    """
    _one_of("task", task, VARIANTS)
    _one_of(f"variant of {task}", variant, VARIANTS[task])
    _one_of("scale", scale, SCALES)
    return Plan(task, variant, scale, VARIANTS[task][variant], MERGES.get(task))


def phase_config(plan: Plan, phase: Phase, configs: Path, run: Path) -> dict[str, Any]:
    """The phase's config: the yaml files it includes, from the task's own to the most special, and its folder.

    Args:
        plan: the phase's plan.
        phase: the phase.
        configs: folder `projects/visualbert/configs`.
        run: folder of the whole reproduction.
    """
    files = [configs / plan.task / f"{phase.name}.yaml", *(configs / f"{overlay}.yaml" for overlay in phase.overlays)]
    files += _scale_overlays(plan, phase, configs)
    return {
        "includes": [str(file.resolve()) for file in files],
        "env": {"save_dir": str(run / phase.name)},
    }


def _scale_overlays(plan: Plan, phase: Phase, configs: Path) -> Iterator[Path]:
    if plan.scale == "paper":
        return
    folder = configs / "scales" / plan.scale
    yield folder / "common.yaml"
    for special in (folder / f"{plan.task}.yaml", folder / f"{plan.task}_{phase.name}.yaml"):
        if special.exists():
            yield special


def _one_of(what: str, given: str, known: Any) -> None:
    if given not in known:
        raise InputError(f"there is no {what} '{given}'; choose one of {', '.join(known)}")
