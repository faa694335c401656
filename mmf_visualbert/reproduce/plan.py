"""Which MMF runs make up a variant of the paper, and what each run's config is made of."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from mmf_visualbert import catalog
from mmf_visualbert.contracts import Merge, Phase
from mmf_visualbert.errors import InputError
from mmf_visualbert.yaml_config import container

SCALES = ("sample", "paper")


class Plan(NamedTuple):
    """All runs of a variant, in order. The last one, or the last two together (`merge`), give the row."""

    task: str
    variant: str
    scale: str
    phases: tuple[Phase, ...]
    merge: Merge | None = None


def variants() -> dict[str, Mapping[str, tuple[Phase, ...]]]:
    """Each task's variants of the paper: the phases of each."""
    return {name: task.variants for name, task in catalog.tasks().items() if task.variants}


def make_plan(task: str, variant: str, scale: str) -> Plan:
    """The runs of a variant.

    Raises:
        InputError: for a task, variant or scale that there is not; the message lists what there is.
    """
    known = variants()
    _one_of("task", task, known)
    _one_of(f"variant of {task}", variant, known[task])
    _one_of("scale", scale, SCALES)
    return Plan(task, variant, scale, known[task][variant], catalog.task(task).merge)


def phase_config(plan: Plan, phase: Phase, configs: Path, run: Path) -> dict[str, Any]:
    """The phase's config: the yaml files it includes, from the task's own to the most special, overrides and folder.

    Args:
        plan: the phase's plan.
        phase: the phase.
        configs: folder `projects/visualbert/configs`.
        run: folder of the whole reproduction.

    Raises:
        InputError: where one of the files is missing.
    """
    files = [configs / plan.task / f"{phase.name}.yaml", *(configs / f"{overlay}.yaml" for overlay in phase.overlays)]
    files += _scale_overlays(plan, phase, configs)
    missing = [file for file in files if not file.exists()]
    if missing:
        raise InputError(f"{missing[0]} does not exist; the configs folder is incomplete, install the package again")
    return {
        "includes": [str(file.resolve()) for file in files],
        **container(OmegaConf.from_dotlist(list(phase.overrides))),
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
