"""The list of repairs: which import each accompanies, and which of them were needed in this process and why.

A repair is a function without arguments (`before` an import) or with the imported module (`after` it). It looks whether it
is needed, does its work, and returns the reason in a few words, or None where nothing was to do.
"""

import importlib
from types import ModuleType
from typing import NamedTuple

HERE = "mmf_visualbert.compat"


class Repair(NamedTuple):
    """One repair.

    Attributes:
        function: `file.function` in this folder; its file is only imported when the repair is due.
        when: "before" or "after".
        module: the import that it accompanies.
    """

    function: str
    when: str
    module: str


REPAIRS = (
    Repair("torchvision_operators.define_missing_schemas", "after", "torchvision.extension"),
    Repair("standins.provide_torchtext", "before", "mmf"),
    Repair("standins.provide_demjson", "before", "mmf"),
    Repair("python_names.restore_collections_names", "before", "mmf"),
    Repair("transformers_names.resolve_moved_modules", "before", "mmf"),
    Repair("transformers_names.restore_bert_layer_norm", "after", "transformers.models.bert.modeling_bert"),
    Repair("transformers_names.restore_adamw", "after", "transformers.optimization"),
    Repair("transformers_names.skip_import_of_all_models", "after", "mmf.utils.patch"),
    Repair("torchvision_names.restore_read_video", "after", "torchvision.io"),
    Repair("lightning_names.restore_callbacks_base", "before", "mmf"),
    Repair("omegaconf_behaviour.register_env_resolver", "before", "mmf"),
    Repair("omegaconf_behaviour.give_none_for_missing_keys", "before", "mmf"),
    Repair("omegaconf_behaviour.restore_pretty", "before", "mmf"),
)

reasons: dict[str, str] = {}


def watched() -> set[str]:
    """Every module whose import is accompanied by a repair."""
    return {repair.module for repair in REPAIRS}


def run(when: str, module: str, *arguments: ModuleType) -> None:
    """Run the repairs that are due before or after the import of `module`, and note the reasons of those needed."""
    for repair in REPAIRS:
        if repair.when == when and repair.module == module:
            file, _, function = repair.function.partition(".")
            reason = getattr(importlib.import_module(f"{HERE}.{file}"), function)(*arguments)
            if reason:
                reasons[repair.function] = reason
