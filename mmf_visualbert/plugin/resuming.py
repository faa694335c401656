"""Which checkpoint a run begins with, and whether it is one of this run; asked before anything is written."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.save_folder import LOCK
from mmf_visualbert.plugin.saving import BEST, CURRENT, PREVIOUS, damage
from mmf_visualbert.plugin.torch_load import load_checkpoint

logger = logging.getLogger(__name__)
WEIGHTS = ("*.ckpt", "*.pth", "models/*.ckpt", "*.damaged")
# What makes a model another one. Which BERT it is, the weights themselves tell; its folder may have moved.
STRUCTURE = ("region_dimension", "fusion", "alignment")


class Difference(NamedTuple):
    """A key that a checkpoint's run had otherwise."""

    key: str
    theirs: Any
    ours: Any


def check_resume(checkpoint: Mapping[str, Any], config: Any) -> None:
    """Refuses to resume where MMF would begin anew beside checkpoints, or where they are another run's.

    MMF would write over the checkpoints that are there. Where there are none, nothing is lost: the first start of a
    run, and one that was killed before its first checkpoint, begin, and say so.

    Args:
        checkpoint: the section of that name, plain.
        config: the whole configuration.

    Raises:
        InputError: naming the folder or the file, and what to give.
    """
    named = checkpoint["resume_file"] or checkpoint["resume_zoo"]
    if checkpoint["resume_pretrained"] and not named:
        raise InputError(
            "checkpoint.resume_pretrained=true names no checkpoint to start from; give it with checkpoint.resume_file, "
            "or leave checkpoint.resume_pretrained out"
        )
    if not checkpoint["resume"]:
        if checkpoint["resume_best"] and not named:
            raise InputError(
                "checkpoint.resume_best=true says from which checkpoint to go on, and checkpoint.resume does not say "
                "that the run goes on; add checkpoint.resume=true"
            )
        return
    folder = Path(config.env.save_dir)
    found = checkpoint_of_run(folder, checkpoint)
    if found is None and not named:
        refuse_to_begin(folder, "train" in config.run_type)
        before = f"the run in {folder} ended before its first checkpoint" if (folder / LOCK).exists() else ""
        logger.warning(f"{before or f'{folder} holds no checkpoint to go on from'}; the run begins at update 0")
        return
    if found is not None:
        refuse_other_run(found, config)


def checkpoint_of_run(folder: Path, checkpoint: Mapping[str, Any]) -> Path | None:
    """The checkpoint in a run's folder that MMF goes on from; None where there is none.

    Args:
        folder: `env.save_dir`.
        checkpoint: the section of that name.
    """
    order = (BEST, CURRENT) if checkpoint["resume_best"] else (CURRENT, BEST)
    # Where another file is named, MMF takes it in place of its second choice.
    named = checkpoint["resume_file"] or checkpoint["resume_zoo"]
    # A kill can have left previous.ckpt alone, on a disk without hard links; it becomes current.ckpt.
    there = [name for name in (*order[: 1 if named else 2], PREVIOUS) if (folder / name).exists()]
    return folder / there[0] if there else None


def refuse_to_begin(folder: Path, trains: bool) -> None:
    """Refuses a run that finds no checkpoint of its own where it would write over others, or has nothing to train.

    Args:
        folder: `env.save_dir`.
        trains: whether it trains; one that only evaluates or predicts needs a checkpoint.

    Raises:
        InputError: naming the folder and what is in it.
    """
    nothing = f"checkpoint.resume=true finds nothing to go on from: {folder} has neither {CURRENT} nor {BEST}"
    if not trains:
        raise InputError(
            f"{nothing}; name the folder of the run with env.save_dir, or a checkpoint with checkpoint.resume_file"
        )
    other = next(others(folder), None)
    if other is not None and not (folder / LOCK).exists():
        raise InputError(
            f"{nothing}, and {other.relative_to(folder)} is there; name the folder of the run with env.save_dir, or "
            "start from that file with checkpoint.resume_file"
        )


def others(folder: Path) -> Iterator[Path]:
    """Checkpoints in a run's folder that no run goes on from, which one that begins anew there would write over."""
    for pattern in WEIGHTS:
        yield from sorted(folder.glob(pattern))


def refuse_other_run(path: Path, config: Any) -> None:
    """Refuses a checkpoint that another model, or other data, left in the folder.

    One that is cut off does not say; the one that takes its place is looked for when it is loaded.

    Raises:
        InputError: naming what differs.
    """
    if damage(path) is not None:
        return
    stored = load_checkpoint(path, mapped=True).get("config")
    if not isinstance(stored, Mapping):
        return  # of another program; its weights are compared when they are loaded
    model = OmegaConf.to_container(config.model_config[config.model], resolve=True)
    ours = {"model": config.model, "datasets": config.datasets, "model_config": {config.model: model}}
    differing = next(differences(stored, ours), None)
    if differing is not None:
        raise InputError(
            f"checkpoint.resume=true would go on from {path}, which is of another run: its {differing.key} is "
            f"{differing.theirs}, and here it is {differing.ours}; name this run's own folder with env.save_dir, or "
            "start from those weights with checkpoint.resume_file and checkpoint.resume_pretrained=true"
        )


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[Difference]:
    """The keys in which two runs are no longer one, with both values."""
    for key in ("model", "datasets"):
        if theirs.get(key) != ours.get(key):
            yield Difference(key, theirs.get(key), ours.get(key))
    name = ours["model"]
    models = [(each.get("model_config") or {}).get(name) or {} for each in (theirs, ours)]
    for key, (their, our) in [(key, [model.get(key) for model in models]) for key in STRUCTURE]:
        if their is not None and their != our:
            yield Difference(f"model_config.{name}.{key}", their, our)
    for key in ("heads", "region_encoder"):
        their, our = ([part.get("type") for part in _parts(model.get(key))] for model in models)
        if their != our:
            yield Difference(f"model_config.{name}.{key}", their, our)


def _parts(section: Any) -> list[Mapping[str, Any]]:
    """One part or several, as they are named."""
    return [part for part in (section if isinstance(section, list) else [section]) if isinstance(part, Mapping)]
