"""What is looked at when a run's configuration is whole, before data are read and anything is written."""

import functools
from types import ModuleType
from typing import Any

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.model_values import check_model_values
from mmf_visualbert.plugin.configuration import MODEL, plain
from mmf_visualbert.plugin.impossible_values import refuse_impossible_values
from mmf_visualbert.plugin.loggers import check_loggers
from mmf_visualbert.plugin.parts_of_config import check_parts
from mmf_visualbert.plugin.pretrained import take_pretrained
from mmf_visualbert.plugin.resuming import check_resume
from mmf_visualbert.plugin.several_datasets import check_datasets_of_parts, prepare
from mmf_visualbert.plugin.workers import possible_workers
from mmf_visualbert.yaml_config import container


def check_before_a_run(configuration: ModuleType) -> str | None:
    """`Configuration` (MMF rc10 and main) finds out late, or never, that a run cannot be what was asked for.

    For runs of our model it is said when the configuration is whole. Stays.
    """
    cls = configuration.Configuration
    upgrade = cls.upgrade

    @functools.wraps(upgrade)
    def upgrade_and_check(self: Any, config: Any) -> Any:
        if config.get("model") == MODEL:
            take_pretrained(config)
        upgraded = upgrade(self, config)
        if config.get("model") == MODEL:
            refuse_fp16(config)
            written = plain(config)
            check_model_values(written["model_config"][MODEL])
            check_parts(written)
            if check_datasets_of_parts(written):
                prepare(config)
            check_loggers(config)
            refuse_impossible_values(container(config), configuration.registry)
            check_resume(container(config.checkpoint), config)
            config.training.num_workers = possible_workers(config.training.num_workers)
        return upgraded

    cls.upgrade = upgrade_and_check
    return "MMF would begin anew where there is nothing to resume"


def refuse_fp16(config: Any) -> None:
    """MMF's own switch for half precision does nothing for our model, whose own is `precision`.

    Raises:
        InputError: where it is on.
    """
    if config.training.get("fp16"):
        raise InputError(
            "training.fp16 is MMF's switch for models that leave their types to it; "
            "set model_config.visualbert.precision=bf16 in its place"
        )
