"""Splits that a run does not need and whose files are absent: it goes on without them, and says so."""

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmf_visualbert.contracts import DatasetFacts, LearnsNames, Sample
from mmf_visualbert.datasets.presence import SPLITS, first_missing
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import unwrapped
from mmf_visualbert.plugin.resuming import checkpoint_of_run
from mmf_visualbert.plugin.torch_load import load_checkpoint
from mmf_visualbert.tasks.learnt import answers_for, stored_answers
from mmf_visualbert.yaml_config import container

logger = logging.getLogger(__name__)


class Unread:
    """Stands for a split that is not read. MMF makes a loader of every split, and asks this one for nothing.

    Args:
        split: which.
        missing: the file that is not there.
        answers: what a checkpoint's head says that it predicts; None for other heads.
    """

    def __init__(self, split: str, missing: Path, answers: list[str] | None) -> None:
        self.split, self.missing, self.answers = split, missing, answers

    def __len__(self) -> int:
        """1: neither version of MMF takes an empty split."""
        return 1

    def __getitem__(self, index: int) -> Sample:
        """Refuses."""
        raise InputError(f"the run needs {self.split} after all, and {self.missing} does not exist; put it there")

    @property
    def facts(self) -> DatasetFacts:
        """What the model asks."""
        return DatasetFacts(len(self), None, self.answers)

    def predictions(self, output: Mapping[str, Any]) -> list[dict[str, Any]]:
        """There are none."""
        return []


def needed(config: Any) -> tuple[str, ...]:
    """The splits that a run needs, by its `run_type`; all of them where there is no run.

    Args:
        config: of the whole run, or None.
    """
    if config is None:
        return SPLITS
    kind = str(config.run_type)
    trains = "train" in kind
    tests = any(name in kind for name in ("inference", "test", "predict"))
    asked = {"train": trains, "val": trains or "val" in kind, "test": tests}
    return tuple(split for split in SPLITS if asked[split]) or SPLITS


def left_out(section: Mapping[str, Any], split: str, config: Any) -> Path | None:
    """A file of a split that is missing, where the run does not need the split; None where the split is to be read.

    Args:
        section: `dataset_config.<name>`, plain.
        split: train, val or test.
        config: of the whole run, or None.
    """
    return None if split in needed(config) else first_missing(section, split)


def unread(name: str, split: str, missing: Path, answers: list[str] | None) -> Unread:
    """In place of a split, aloud."""
    logger.warning(f"{name}: {split} is not read, which this run does not need: {missing} does not exist")
    return Unread(split, missing, answers)


def names_of_checkpoint(config: Any, processors: Mapping[str, Any], dataset: str) -> list[str] | None:
    """Gives processors that would learn names from train those that the run's checkpoint has, and returns them.

    Args:
        config: of the whole run.
        processors: of its dataset.
        dataset: its registered name.

    Raises:
        InputError: for a checkpoint that cannot be read.
    """
    learning = [each for each in processors.values() if isinstance(each, LearnsNames)]
    path = checkpoint_of(config) if learning else None
    if path is None or not path.is_file():
        return None
    heads = container(config.model_config)[config.model]["heads"]
    names = answers_for(dataset, heads, names_in(path, path.stat().st_mtime_ns))
    if names:
        logger.info(f"{len(names)} answers or labels are taken from {path}, as train is not there")
        for each in learning:
            each.take_names(names)
    return names


@functools.lru_cache(maxsize=1)  # all splits ask, and a checkpoint is large
def names_in(path: Path, changed: int) -> dict[str, list[str]]:
    """The names that a checkpoint keeps, by its heads.

    Args:
        path: of the checkpoint.
        changed: when, so that another file under the same name is read.
    """
    return stored_answers(unwrapped(load_checkpoint(path).get("model", {})))


def checkpoint_of(config: Any) -> Path | None:
    """The checkpoint that a run begins with; None for none, or one that is not a file of its own."""
    section = container(config.checkpoint)
    if section["resume"]:
        found = checkpoint_of_run(Path(config.env.save_dir), section)
        if found is not None:
            return found
    return Path(section["resume_file"]) if section["resume_file"] else None
