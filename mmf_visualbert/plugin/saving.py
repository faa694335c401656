"""MMF's checkpoints are written whole or not at all, once for all their names; the one before is kept."""

import contextlib
import functools
import os
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from omegaconf import OmegaConf

from mmf_visualbert.compat.distributed import rank
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_torch, sync_folder, write_errors, write_text, write_torch
from mmf_visualbert.plugin import progress
from mmf_visualbert.plugin.configuration import MODEL

CURRENT, PREVIOUS, BEST = "current.ckpt", "previous.ckpt", "best.ckpt"
_RUNS: dict[Path, str | None] = {}  # which run this process has written a name for


class CheckpointWriter:
    """Writes one checkpoint under the several names that MMF gives it: the first time as a file, then as its links."""

    def __init__(self) -> None:
        self._content: Any = None
        self._path: Path | None = None

    def write(self, content: Any, path: str | Path) -> None:
        """Writes `content` as `path`, whole or not at all.

        Raises:
            InputError: where it cannot be written; what was there before is then still there.
        """
        path = Path(path)
        run = progress.of_this_run()
        if run is not None and "optimizer" in content:
            content[progress.SECTION] = run.state()
        if path.name.endswith(CURRENT):
            keep_previous(path, content.get(progress.SECTION, {}).get("run"))
        if content is not self._content or not link(self._path, path):
            write_torch(path, content)
        self._content, self._path = content, path

    def forget(self) -> None:
        """Lets go of the checkpoint that was written last."""
        self._content = self._path = None


WRITER = CheckpointWriter()


def save_whole(checkpoint: ModuleType) -> str | None:
    """`Checkpoint` (MMF rc10 and main) writes its files in place, three times, so that a kill leaves half of one.

    They are written by `WRITER`, and none whose weights are no numbers is written at all. Stays.
    """
    cls = checkpoint.Checkpoint
    initialise, save, finalize = cls.__init__, cls.save, cls.finalize
    if "open_if_main" in vars(checkpoint):  # main: what is opened is not yet written
        replace(checkpoint, open_if_main=lambda path, mode: contextlib.nullcontext(path))

    @functools.wraps(initialise)
    def make_folder(self: Any, trainer: Any) -> None:
        with write_errors(trainer.config.env.save_dir):
            initialise(self, trainer)

    def save_config(self: Any) -> None:
        if rank() == 0:
            write_text(Path(self.ckpt_foldername) / "config.yaml", OmegaConf.to_yaml(self.config, resolve=True))

    @functools.wraps(save)
    def save_numbers(self: Any, update: int, *args: Any, **options: Any) -> None:
        if self.config.model == MODEL:
            refuse_no_numbers(self.trainer.model, update)
        try:
            save(self, update, *args, **options)
        finally:
            WRITER.forget()

    @functools.wraps(finalize)
    def finalize_whole(self: Any) -> None:
        try:
            finalize(self)
        finally:
            WRITER.forget()

    replace(cls, __init__=make_folder, save_config=save_config, save=save_numbers, finalize=finalize_whole)
    return "MMF would leave half a checkpoint where it is killed as it writes one"


def refuse_no_numbers(model: torch.nn.Module, update: int) -> None:
    """Raises InputError where a weight is NaN or infinite: such a checkpoint would take the place of a good one."""
    from mmf_visualbert.plugin.no_numbers import first_without_number  # MMF imports this room while it is made

    name = first_without_number(model)
    if name is not None:
        raise InputError(
            f"after update {update} the model holds values that are no numbers (such as {name}), so that no "
            "checkpoint is saved; go on from the last one with checkpoint.resume=true and a lower learning rate"
        )


def keep_previous(current: Path, run: str | None) -> None:
    """Gives the checkpoint that is about to be replaced its second name.

    Args:
        current: the name that it has.
        run: the run that is about to write there; what another one left does not become the checkpoint before its own.
    """
    previous = current.with_name(current.name.removesuffix(CURRENT) + PREVIOUS)
    if not current.exists():
        return
    with write_errors(previous):
        if _RUNS.get(current) != run and run_of(current) != run:
            previous.unlink(missing_ok=True)
        elif not link(current, previous):
            os.replace(current, previous)
    _RUNS[current] = run


def run_of(path: Path) -> str | None:
    """The run that a checkpoint says it is of."""
    try:
        return read_torch(path, mapped=True).get(progress.SECTION, {}).get("run")
    except InputError:
        return None


def link(path: Path | None, other: Path) -> bool:
    """Makes `other` another name of the file `path`, at once and whole; False where the disk has no such names."""
    if path is None:
        return False
    part = other.with_name(f".{other.name}.link")
    try:
        part.unlink(missing_ok=True)
        os.link(path, part)
    except OSError:
        return False
    with write_errors(other):
        os.replace(part, other)
        part.unlink(missing_ok=True)  # a file that is to replace itself stays
        sync_folder(other.parent)
    return True


def damage(path: str | Path) -> str | None:
    """What is wrong with a checkpoint's file, by the checksums that torch writes into it; None where it is whole."""
    try:
        with zipfile.ZipFile(path) as packed:
            entry = packed.testzip()
    except FileNotFoundError:
        return "is not there"
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError):
        return "is cut off or damaged"
    return None if entry is None else f"is damaged (in {entry})"
