"""A loss that is no number stops the run, or is passed over where that is asked for; it never reaches the weights."""

import copy
import functools
import logging
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import nn

from mmf_visualbert.compat.distributed import world_size
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.metrics.gather import gather_by_id
from mmf_visualbert.modules.on_host import NAME as ON_HOST
from mmf_visualbert.plugin import progress, waits
from mmf_visualbert.plugin.several_datasets import criteria
from mmf_visualbert.plugin.shared_losses import NOT_COUNTED, SharedLoss, ids_of, mean_of
from mmf_visualbert.plugin.waits import Finite

logger = logging.getLogger(__name__)
ALLOWED = "skip_bad_samples"
NAMED = 20  # ids in a sentence


def pass_over_steps(checkpoint: ModuleType) -> str | None:
    """`Checkpoint` (MMF rc10 and main) gets to know the optimizer: an update that is passed over has no gradient.

    Stays.
    """
    cls = checkpoint.Checkpoint
    initialise = cls.__init__

    @functools.wraps(initialise)
    def know(self: Any, trainer: Any) -> None:
        initialise(self, trainer)
        if trainer.optimizer is not None:
            trainer.optimizer.register_step_pre_hook(drop_gradients)

    replace(cls, __init__=know)
    return None


def drop_gradients(optimizer: torch.optim.Optimizer, *given: Any) -> None:
    """Looks at losses that were put off until the step, which passes by all weights where one was no number."""
    run = progress.of_this_run()
    if run is None:
        return
    looks, run.looks = run.looks, []
    for look in looks:
        look()
    if run.passes_over:
        optimizer.zero_grad(set_to_none=True)
        run.passes_over = False


def check_losses(model: Any, batch: Mapping[str, Any], losses: dict[str, torch.Tensor]) -> None:
    """Looks at the losses of a batch, which all processes call alike; on a GPU before the step, for which it need not
    be waited.

    Where one is NaN or infinite: within `training.skip_bad_samples` the losses become 0 and the update is made without
    a step, so that the next one finds the weights as they were.

    Args:
        model: of the run, without what wraps it.
        batch: with `id` (B,).
        losses: by term, changed in place.

    Raises:
        InputError: naming the update, the batch's samples, and the term.
    """
    if not losses:
        return
    finite, run = Finite(losses), progress.of_this_run()
    if run is not None and model.training and waits.put_off(losses):
        run.looks.append(functools.partial(judge, model, batch, losses, finite))
    else:
        judge(model, batch, losses, finite)


def judge(model: Any, batch: Mapping[str, Any], losses: dict[str, torch.Tensor], finite: Finite) -> None:
    """Does what `check_losses` says where an answer is no."""
    if finite.read():
        return
    terms = [term for term, value in losses.items() if not bool(value.detach().isfinite().all())]
    ids, bad = ids_of(batch), samples_without_number(model, batch)
    used = criteria(model.losses.losses, batch["dataset_name"])
    if world_size() > 1 and all(isinstance(loss, SharedLoss) for loss in used):
        ids, bad = gather_by_id(ids, ids, bad)  # ours are no numbers on all processes alike
    run = progress.of_this_run()
    weight = first_without_number(model)
    passed_over = int(bad.sum())
    if run is not None and model.training and weight is None and passed_over:
        run.skipped += passed_over
        if run.skipped <= allowed():
            run.passes_over = True
            logger.warning(f"{sentence(run, batch, terms, ids, bad)}; passed over, {run.skipped} samples until now")
            for term, value in losses.items():
                losses[term] = torch.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0) * 0
            return
    raise InputError(f"{sentence(run, batch, terms, ids, bad)}; {mend(weight, passed_over, model.training)}")


def sentence(run: Any, batch: Mapping[str, Any], terms: list[str], ids: torch.Tensor, bad: torch.Tensor) -> str:
    """What happened, where and when."""
    update = f"at update {run.update}" if run is not None else "in an evaluation"
    if batch["dataset_type"] != "train":
        update = f"in the evaluation after {update.removeprefix('at ')}" if run is not None else update
    count = f"{len(ids)} samples with the ids {listed(ids)} of {batch['dataset_name']}"
    alone = f", of which {listed(ids[bad])} have none by themselves either" if bool(bad.any()) else ""
    return f"the loss {' and '.join(terms)} {update} is no number, for the {count}{alone}"


def mend(weight: str | None, bad: int, training: bool) -> str:
    """What to do about it."""
    if weight is not None:
        return f"the weights are no numbers either (such as {weight}): go on from the last checkpoint with a lower rate"
    if not bad:
        return "lower the learning rate, or set model_config.visualbert.precision to fp32"
    if not training:
        return "correct or remove their features"
    return f"correct or remove their features, or set training.{ALLOWED} to pass over that many samples"


def samples_without_number(model: Any, batch: Any) -> torch.Tensor:
    """Which samples of this process's share (B,) have a loss that is no number also where each is a batch by itself."""
    ids = ids_of(batch)
    size, bad = len(ids), torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    if NOT_COUNTED in batch:
        return bad
    with torch.no_grad():
        for row in range(size):
            sample = copy.copy(batch)  # of the same class, whose fields MMF's own losses read as attributes
            sample.update({name: alone(value, row, size) for name, value in batch.items() if name != ON_HOST})
            sample.pop(ON_HOST, None)
            output = model.forward(sample)
            values = [alone_on(loss, sample, output) for loss in criteria(model.losses.losses, batch["dataset_name"])]
            bad[row] = not all(bool(value.isfinite().all()) for value in values)
    return bad


def alone_on(loss: nn.Module, sample: Mapping[str, Any], output: Mapping[str, Any]) -> torch.Tensor:
    """A loss of this process's sample, without the others."""
    return mean_of(loss.part, sample, output).value if isinstance(loss, SharedLoss) else loss(sample, output)


def alone(value: Any, row: int, size: int) -> Any:
    """One sample's part of what a batch holds under a name."""
    batched = isinstance(value, torch.Tensor) and value.dim() and len(value) == size
    return value[row : row + 1] if batched else value


def first_without_number(model: nn.Module) -> str | None:
    """The name of a weight that is NaN or infinite, None where all are numbers."""
    for name, weight in model.state_dict().items():
        if weight.is_floating_point() and weight.numel():
            # Both are NaN where one weight is; `isfinite` of all would make a copy of each tensor.
            extremes = torch.stack(weight.aminmax())
            if not bool(extremes.isfinite().all()):
                return name
    return None


def allowed() -> int:
    """How many samples may be passed over."""
    return int(progress.registry().get("config").training.get(ALLOWED, 0) or 0)


def listed(ids: torch.Tensor) -> str:
    """Ids in a sentence, at most so many."""
    named = ", ".join(str(each) for each in ids[:NAMED].tolist())
    return named + (f" and {len(ids) - NAMED} more" if len(ids) > NAMED else "")
