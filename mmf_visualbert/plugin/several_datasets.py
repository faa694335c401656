"""Several data sets in one run, each with its heads, losses and metrics: which is whose, and what cannot be."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.chosen_heads import chosen_heads, datasets_of
from mmf_visualbert.yaml_config import container

logger = logging.getLogger(__name__)
UNUSED = "find_unused_parameters"


class LossOf(nn.Module):
    """A loss of some data sets alone.

    Args:
        loss: MMF's, which names what it gives.
        datasets: whose samples it is computed for.
    """

    def __init__(self, loss: nn.Module, datasets: tuple[str, ...]) -> None:
        super().__init__()
        self.loss, self.datasets = loss, datasets

    def forward(self, sample_list: Mapping[str, Any], *rest: Any, **options: Any) -> dict[str, Tensor]:
        """What the loss gives; nothing for samples of others."""
        return self.loss(sample_list, *rest, **options) if _reads(self, sample_list["dataset_name"]) else {}


def bind_losses(losses: Any, given: Any) -> None:
    """Makes losses of a model those of their data sets, where the configuration names some.

    Args:
        losses: MMF's list of losses.
        given: `model_config.visualbert.losses`, in the same order.
    """
    for place, (where, entry) in enumerate(_entries("model_config.visualbert.losses", given)):
        datasets = datasets_of(entry, where)
        if datasets:
            losses[place] = LossOf(losses[place], datasets)


def criteria(losses: Any, dataset: str) -> list[nn.Module]:
    """What MMF's losses compute with, those that are for a data set.

    Args:
        losses: MMF's list of losses, some of which `bind_losses` has bound.
        dataset: whose samples they are asked for.
    """
    of: list[Any] = [loss.loss if isinstance(loss, LossOf) else loss for loss in losses if _reads(loss, dataset)]
    return [loss.loss_criterion for loss in of]


def _reads(loss: nn.Module, dataset: str) -> bool:
    return not isinstance(loss, LossOf) or dataset in loss.datasets


def check_datasets_of_parts(config: Mapping[str, Any]) -> bool:
    """Whether parts of a run are for some of its data sets alone, after a check that each has what it needs.

    Args:
        config: of the whole run, plain.

    Raises:
        InputError: for heads that are none, a part of a data set that the run has not, or a data set without a head
            or a loss.
    """
    names = [name.strip() for name in str(config["datasets"]).split(",")]
    model = config["model_config"]["visualbert"]
    if model.get("heads"):  # a configuration of the model alone has none yet; a model without any is refused when built
        chosen_heads(model["heads"])
    bound = False
    ours = "model_config.visualbert"
    lists = {f"{ours}.heads": model.get("heads"), f"{ours}.losses": model.get("losses")}
    for where, given in {**lists, "evaluation.metrics": config["evaluation"].get("metrics")}.items():
        read = [(place, datasets_of(entry, place)) for place, entry in _entries(where, given)]
        for place, datasets in read:
            other = next((name for name in datasets if name not in names), None)
            if other is not None:
                raise InputError(
                    f"{place} is for '{other}', and the run's datasets are {', '.join(names)}; correct one"
                )
        bound = bound or any(datasets for _, datasets in read)
        lacking = [name for name in names if not any(not each or name in each for _, each in read)]
        if lacking and read and where in lists:
            raise InputError(f"none of {where} is for {lacking[0]}; add one with datasets: [{lacking[0]}]")
    return bound


def prepare(config: Any) -> None:
    """Says to MMF what it has to know of parts that are for some data sets alone.

    Metrics are for a list of them, as MMF takes a text for its letters. And on several processes an update leaves the
    heads of other data sets without a gradient, which DDP has to know.

    Args:
        config: of the whole run.
    """
    for place, (where, metric) in enumerate(_entries("evaluation.metrics", container(config.evaluation)["metrics"])):
        if datasets := datasets_of(metric, where):
            config.evaluation.metrics[place].datasets = list(datasets)
    if not config.training.get(UNUSED):
        config.training[UNUSED] = True
        logger.info(f"training.{UNUSED}=true: not every head takes part in every update")


def _entries(where: str, given: Any) -> Iterator[tuple[str, Any]]:
    """Where each part of a list stands, and its entry."""
    for position, entry in enumerate(given if isinstance(given, list) else []):
        yield f"{where}[{position}]", entry
