"""Loading a checkpoint into our model: what matched is reported, and a checkpoint that does not fit is refused."""

import functools
import logging
import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.compat.training import batches_of_epoch
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.configuration import MODEL
from mmf_visualbert.plugin.torch_load import weights_alone

logger = logging.getLogger(__name__)
EXAMPLES = 3


class LoadReport(NamedTuple):
    """How a checkpoint's weights compare with a model's.

    Attributes:
        matched: names in the model whose weights the checkpoint has in the same shape.
        missing: names in the model that the checkpoint does not have.
        unused: names in the checkpoint that the model does not have.
        mismatched: names in the model, with its shape and the checkpoint's.
    """

    matched: list[str]
    missing: list[str]
    unused: list[str]
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]]

    def summary(self, file: str) -> str:
        """The report in one line."""
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        parts = [f"{len(self.matched)} of {total} weights of the model loaded"]
        parts += [f"{len(names)} {what} ({examples(names)})" for names, what in self._rest() if names]
        return f"Load report of {file}: {', '.join(parts)}"

    def _rest(self) -> tuple[tuple[list[str], str], ...]:
        mismatched = [name for name, _, _ in self.mismatched]
        return (
            (self.missing, "not in the checkpoint"),
            (self.unused, "of the checkpoint not used"),
            (mismatched, "of another shape"),
        )


def examples(names: list[str]) -> str:
    """The first few names."""
    return ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")


def compare(own: Mapping[str, Any], given: Mapping[str, Any], mapping: Mapping[str, str]) -> LoadReport:
    """Compare a model's state with a checkpoint's, as MMF would copy the one into the other.

    Args:
        own: state of the model.
        given: state in the checkpoint.
        mapping: `checkpoint.pretrained_state_mapping`, from attributes of the model to attributes in the checkpoint;
            where it is empty, names have to be equal.
    """
    pairs = mapped_names(own, given, mapping) if mapping else {name: name for name in own if name in given}
    matched, mismatched = [], []
    for name, other in pairs.items():
        shapes = shape(own[name]), shape(given[other])
        if shapes[0] == shapes[1]:
            matched.append(name)
        else:
            mismatched.append((name, *shapes))
    wanted = [name for name in own if not mapping or any(f"{key}." in name for key in mapping)]
    used = set(pairs.values())
    return LoadReport(
        matched,
        [name for name in wanted if name not in pairs],
        [name for name in given if name not in used],
        mismatched,
    )


def mapped_names(own: Mapping[str, Any], given: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, str]:
    """From names in the model to names in the checkpoint, by MMF's rule: equal once key and value are taken out."""
    pairs = {}
    for key, value in mapping.items():
        rests = {name.replace(f"{value}.", ""): name for name in given if f"{value}." in name}
        for name in own:
            if f"{key}." in name and name.replace(f"{key}.", "") in rests:
                pairs[name] = rests[name.replace(f"{key}.", "")]
    return pairs


def shape(value: Any) -> tuple[int, ...]:
    """Shape of a tensor, () of anything else that a state holds."""
    return tuple(getattr(value, "shape", ()))


def guard_loading(checkpoint: ModuleType) -> str | None:
    """`Checkpoint` (MMF rc10 and main) says "Pretrained model loaded" where nothing matched, and runs on.

    For our model a report is logged, and a checkpoint that does not fit is refused before anything is copied. Stays.
    """
    cls = checkpoint.Checkpoint
    load, load_state_dict, upgrade = cls._load, cls.load_state_dict, cls.upgrade_state_dict

    @functools.wraps(load_state_dict)
    def load_if_there(self: Any) -> None:
        if self.config.model == MODEL:
            require_file(self.config.checkpoint)
        load_state_dict(self)

    @functools.wraps(load)
    def load_guarded(self: Any, file: str, force: bool = False, **options: Any) -> None:
        pretrained = options.get("load_pretrained", False) and not force
        mapping = dict(self.config.checkpoint.pretrained_state_mapping) if pretrained else {}
        self._visualbert_loading = (str(file), mapping, force)
        # What does not train, and what brings the best weights back at the end of a training, needs no optimizer.
        with weights_alone(force or "train" not in self.config.run_type):
            load(self, file, force=force, **options)
        if self.config.model == MODEL and not force and str(file) == str(self.config.checkpoint.resume_file):
            refuse_finished_run(self, str(file))

    @functools.wraps(upgrade)
    def upgrade_checked(self: Any, state: Mapping[str, Any]) -> Any:
        upgraded = upgrade(self, state)
        if self.config.model == MODEL:
            check_state(self, upgraded)
        return upgraded

    replace(cls, load_state_dict=load_if_there, _load=load_guarded, upgrade_state_dict=upgrade_checked)
    return "MMF would go on with a checkpoint that shares nothing with the model"


def require_file(config: Any) -> None:
    """Raise InputError where `checkpoint.resume_file` is not there and no zoo key stands in for it."""
    if config.resume_file and not config.resume_zoo and not os.path.exists(config.resume_file):
        raise InputError(f"checkpoint.resume_file={config.resume_file} does not exist; give the path of a checkpoint")


def check_state(checkpoint: Any, state: Mapping[str, Any]) -> None:
    """Compare the checkpoint that is being loaded with the trainer's model, log the report, refuse what does not fit.

    Raises:
        InputError: where nothing matches (nothing of one entry of the mapping), where a shape differs, or where a run
            that does not train would use weights that are not in the checkpoint.
    """
    file, mapping, restoring = checkpoint._visualbert_loading
    own = checkpoint.trainer.model.state_dict()
    report = compare(own, state, mapping)
    if not restoring:
        logger.info(report.summary(file))
    refuse_unfit(file, report, own, state, mapping, checkpoint.config)


def refuse_unfit(
    file: str, report: LoadReport, own: Mapping, state: Mapping, mapping: Mapping[str, str], config: Any
) -> None:
    """Raise InputError where the report says that the checkpoint does not fit."""
    if not report.matched and not report.mismatched:
        raise InputError(
            f"{file} shares no weight with the model (it has {examples(list(state)) or 'none'}; the model has "
            f"{examples(list(own))}); give a checkpoint of this model, convert it with visualbert convert, or "
            "correct checkpoint.pretrained_state_mapping"
        )
    for key, value in mapping.items():
        if not mapped_names(own, state, {key: value}):
            raise InputError(
                f"{file} has nothing for the entry '{key}: {value}' of checkpoint.pretrained_state_mapping (it has "
                f"{examples(list(state))}); correct or remove that entry"
            )
    if report.mismatched and not config.checkpoint.get("bypass_shape_mismatch", False):
        name, ours, theirs = report.mismatched[0]
        raise InputError(
            f"{file} has {len(report.mismatched)} weights of another shape than the model, such as {name}: {theirs} "
            f"instead of {ours}; set the model's sizes in model_config.{MODEL} as they were for the checkpoint"
        )
    if config.checkpoint.resume and not mapping and (report.missing or report.unused):
        which = f"lacks {examples(report.missing)}" if report.missing else f"has {examples(report.unused)} beside"
        raise InputError(
            f"{file} does not have the weights that this run's model has: it {which}; name the run's own folder with "
            "env.save_dir, or start from those weights with checkpoint.resume_pretrained=true"
        )
    if report.missing and "train" not in config.run_type:
        raise InputError(
            f"{file} has no weights for {len(report.missing)} parts of the model ({examples(report.missing)}), which "
            "would answer at random in a run that does not train; give the checkpoint of a model with the same heads"
        )


def refuse_finished_run(checkpoint: Any, file: str) -> None:
    """Refuse to resume a run that is at its end, which would train for zero updates.

    Raises:
        InputError: naming the file and the ways to go on from its weights.
    """
    trainer, training = checkpoint.trainer, checkpoint.config.training
    if "train" not in checkpoint.config.run_type:
        return
    if hasattr(trainer, "_calculate_max_updates"):
        last = trainer._calculate_max_updates()
    elif training.max_epochs is not None:
        last = training.max_epochs * batches_of_epoch(trainer)
    else:
        last = training.max_updates
    if trainer.num_updates >= last:
        raise InputError(
            f"{file} is from the end of a run ({trainer.num_updates} updates), so that this one would train for zero "
            "updates; set checkpoint.resume_pretrained=true to start from its weights, or raise training.max_updates "
            "or training.max_epochs to continue it"
        )
