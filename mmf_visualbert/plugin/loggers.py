"""The services that `training.loggers` names: wandb and trackio get the numbers of `metrics.jsonl` too."""

from collections.abc import Callable
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from mmf_visualbert.compat.optional import require
from mmf_visualbert.errors import InputError

LOGGERS = "loggers"  # a key of `training`
PROJECT = "visualbert"


class Services(NamedTuple):
    """The services of a run.

    Attributes:
        config: of the run that they were begun for.
        log: what takes a report's numbers and its update, for each of them.
        finish: what ends each.
    """

    config: Any
    log: list[Callable[[dict[str, float], int], None]]
    finish: list[Callable[[], None]]


_services: list[Services] = []  # at most one


def send(config: Any, run: str | None, values: dict[str, float], update: int) -> None:
    """Hands numbers to each service of a run.

    Args:
        config: of the run.
        run: its name in its checkpoints, None where it does not train.
        values: the numbers.
        update: after which they are.
    """
    for log in services(config, run).log:
        log(values, update)


def check_loggers(config: Any) -> None:
    """Looks whether the services that a configuration names are there.

    Raises:
        InputError: naming what to install.
    """
    for name in config.training.get(LOGGERS) or []:
        import_service(name)


def services(config: Any, run: str | None) -> Services:
    """The services that a run's configuration names, begun once.

    Raises:
        InputError: for one that is unknown or not installed.
    """
    if not _services or _services[0].config is not config:
        for end in (end for each in _services for end in each.finish):
            end()
        _services[:] = [Services(config, [], [])]
        for name in config.training.get(LOGGERS) or []:
            begin(name, config, run, _services[0])
    return _services[0]


def begin(name: str, config: Any, run: str | None, services: Services) -> None:
    """Begins a run at a service; it goes on with the one that it has there where the training goes on.

    Without network: wandb keeps all in the run's folder with WANDB_MODE=offline, trackio is local by itself.

    Raises:
        InputError: where the service begins no run, as without a key.
    """
    service = import_service(name)
    settings = OmegaConf.to_container(config, resolve=True)
    known = {"project": PROJECT, "name": config.training.get("experiment_name") or None, "config": settings}
    try:
        if name == "wandb":
            service.init(**known, dir=str(config.env.save_dir), id=run, resume="allow")
        else:
            service.init(**{**known, "name": known["name"] or run}, resume="allow")
    except Exception as error:  # each service has its own
        raise InputError(
            f"training.{LOGGERS}: {name} begins no run ({' '.join(str(error).split())}); do what it asks for, keep all "
            f"on this machine (WANDB_MODE=offline), or leave it out of training.{LOGGERS}"
        ) from error
    services.log.append(lambda values, update: service.log(values, step=update))
    services.finish.append(service.finish)


def import_service(name: str) -> Any:
    """The package of a service.

    Raises:
        InputError: where there is none.
    """
    if name not in ("wandb", "trackio"):
        raise InputError(
            f"training.{LOGGERS} names '{name}'; write wandb or trackio (tensorboard: training.tensorboard)"
        )
    return require(name, f"training.{LOGGERS}=[{name}]")
