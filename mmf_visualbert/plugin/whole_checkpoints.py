"""Which checkpoint a run goes on from: one that is cut off or damaged is named, and the one before is taken."""

import contextlib
import ctypes
import functools
import logging
import math
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat.distributed import rank, synchronize
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_errors
from mmf_visualbert.plugin.configuration import MODEL
from mmf_visualbert.plugin.progress import SECTION
from mmf_visualbert.plugin.saving import BEST, CURRENT, PREVIOUS, damage, link
from mmf_visualbert.plugin.torch_load import load_checkpoint

logger = logging.getLogger(__name__)
DAMAGED = ".damaged"


def go_on_from_whole(checkpoint: ModuleType) -> str | None:
    """`Checkpoint` (MMF rc10 and main) takes current.ckpt and best.ckpt as they are, whole or not.

    Before it does, those of the run's folder are looked through, and one that is not whole gives its name to the one
    before it. Where the best weights are lost, the next evaluation is the best. Stays.
    """
    cls = checkpoint.Checkpoint
    load_state_dict, restore = cls.load_state_dict, cls.restore

    @functools.wraps(load_state_dict)
    def load_whole(self: Any) -> None:
        kept = True
        if self.config.model == MODEL and self.config.checkpoint.resume:
            mend_on_first(self, CURRENT)
            kept = mend_on_first(self, BEST)
        load_state_dict(self)
        if not kept:
            stopping = self._visualbert_stopping
            stopping.best_monitored_value = math.inf if stopping.minimize else -math.inf

    @functools.wraps(restore)
    def restore_whole(self: Any) -> None:
        if self.config.model == MODEL:
            mend_on_first(self, BEST)
            make_room(self.trainer.optimizer)
        restore(self)

    replace(cls, load_state_dict=load_whole, restore=restore_whole)
    return "MMF would not go on from a folder whose last checkpoint is cut off"


def make_room(optimizer: torch.optim.Optimizer) -> None:
    """Lets go of gradients and state, three times as large as the weights: no update follows, and the best one's state
    takes its place."""
    optimizer.zero_grad(set_to_none=True)
    optimizer.state.clear()
    with contextlib.suppress(AttributeError):  # a C library that is not GNU's gives freed memory back by itself
        ctypes.CDLL(None).malloc_trim(0)


def mend_on_first(checkpoint: Any, name: str) -> bool:
    """Has the first process mend a name of the run's folder, while the others wait; False where it is lost."""
    kept = rank() != 0 or mend(Path(checkpoint.ckpt_foldername), checkpoint.ckpt_prefix, name)
    synchronize()
    return kept


def mend(folder: Path, prefix: str, name: str) -> bool:
    """Gives the name of a checkpoint that is not whole to an earlier one that is, and says so.

    The damaged file stays, as `NAME.damaged`.

    Args:
        folder: where the run saves.
        prefix: what the run's names begin with.
        name: `current.ckpt` or `best.ckpt`.

    Returns:
        False where best.ckpt is not whole and no other holds its weights.

    Raises:
        InputError: where current.ckpt is not whole and there is no other.
    """
    path, previous = folder / f"{prefix}{name}", folder / f"{prefix}{PREVIOUS}"
    wrong = damage(path)
    if wrong is None or (not path.exists() and not (name == CURRENT and previous.exists())):
        return True
    good = latest_whole(folder, prefix) if name == CURRENT else best_again(folder, prefix)
    if good is None and name == CURRENT:
        raise InputError(
            f"{path} {wrong}, and there is no whole checkpoint beside it to go on from; start anew in another "
            "env.save_dir, or without checkpoint.resume"
        )
    with write_errors(path):
        if path.exists():
            os.replace(path, f"{path}{DAMAGED}")
        if good is not None and not link(good, path):
            shutil.copyfile(good, path)
    instead = f"goes on with {good} instead" if good else "has no best checkpoint until its next evaluation"
    logger.warning(f"{path} {wrong}; this run {instead}")
    return good is not None


def latest_whole(folder: Path, prefix: str) -> Path | None:
    """The whole checkpoint that may stand in for current.ckpt: the one before it, or a later one of the same run.

    An earlier run may have left checkpoints in the folder that have more updates; where the one before cannot say
    which run it was, the file that was written last is taken.
    """
    previous, models = folder / f"{prefix}{PREVIOUS}", list((folder / "models").glob("model_*.ckpt"))
    if damage(previous) is not None:
        written = sorted([*models, folder / f"{prefix}{BEST}"], key=lambda path: path.exists() and path.stat().st_mtime)
        return next((path for path in reversed(written) if damage(path) is None), None)
    before = load_checkpoint(str(previous), mapped=True)
    for path in sorted(models, key=number, reverse=True):
        if number(path) > before["num_updates"] and damage(path) is None:
            content = load_checkpoint(str(path), mapped=True)
            if content.get(SECTION, {}).get("run") == before.get(SECTION, {}).get("run"):
                return path
    return previous


def number(path: Path) -> int:
    """The update that `models/model_N.ckpt` has in its name."""
    digits = path.stem.rpartition("_")[2]
    return int(digits) if digits.isdigit() else 0


def best_again(folder: Path, prefix: str) -> Path | None:
    """The checkpoint of the update that current.ckpt says was the best."""
    current = folder / f"{prefix}{CURRENT}"
    if damage(current) is None:
        path = folder / "models" / f"model_{load_checkpoint(str(current), mapped=True).get('best_update')}.ckpt"
        if damage(path) is None:
            return path
    return None
