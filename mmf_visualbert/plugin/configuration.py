"""Runs from one yaml: what to train is read from it, our files are found, and keys that nothing reads are refused."""

import difflib
import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from mmf_visualbert.compat.installed import mmf_version
from mmf_visualbert.compat.probes import text_of
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.places import our_path
from mmf_visualbert.plugin import config_keys
from mmf_visualbert.yaml_config import container, read_yaml, refuse_expansion, with_home

MODEL = "visualbert"
DATASETS = "visualbert_"
# Keys that MMF reads although its defaults do not have them, and ours beside its own.
READ_BY_BOTH = (
    "training.skip_bad_samples",
    "training.loggers",
    "training.token_budget",
    "distributed.timeout",
    "learning_rate",
    "includes",
    "training.max_grad_l2_norm",
    "training.resume_file",
    "training.resume",
    "training.resume_best",
    "training.load_pretrained",
    "training.pretrained_state_mapping",
    "training.run_type",
    "optimizer.type",
    "optimizer.params",
    "scheduler.type",
    "scheduler.params",
)
# Keys that only an MMF with such a file reads without a default.
READ_IN = {
    "checkpoint.bypass_shape_mismatch": "utils/checkpoint_updater.py",
    "distributed.nccl": "utils/distributed.py",
    "evaluation.torchmetrics": "trainers/lightning_trainer.py",
}
HINTS = {
    "training.fp16": "set model_config.visualbert.precision, or take GitHub's MMF",
    "training.update_frequency": "only GitHub's MMF accumulates gradients",
    "training.batch_size_per_device": "set training.batch_size, which is divided among the devices",
}


def run_from_yaml_alone(configuration: ModuleType) -> str | None:
    """`Configuration` (MMF rc10 and main) looks for `model` and `datasets` on the command line only.

    Where they are absent there, they are taken from the yaml. For our model rc10's console also shows the run's
    progress unless the yaml says otherwise. Stays.
    """
    cls = configuration.Configuration
    build_model, build_datasets = cls._build_model_config, cls._build_dataset_config

    @functools.wraps(build_model)
    def build_chosen_model(self: Any, opts: Any) -> Any:
        take_from_yaml(opts, self._user_config)
        check_model(opts.get("model"), configuration.registry)
        built = build_model(self, opts)
        if opts.get("model") == MODEL and "stdout_capture" in self._default_config.training:
            built = OmegaConf.merge({"training": {"stdout_capture": False}}, built)
        if opts.get("model") == MODEL and "exit_on_nan_losses" in self._default_config.training:
            # We look ourselves, and without a wait (`no_numbers.check_losses`).
            built = OmegaConf.merge({"training": {"exit_on_nan_losses": False}}, built)
        return built

    @functools.wraps(build_datasets)
    def build_chosen_datasets(self: Any, opts: Any) -> Any:
        take_from_yaml(opts, self._user_config)
        return build_datasets(self, opts)

    replace(cls, _build_model_config=build_chosen_model, _build_dataset_config=build_chosen_datasets)
    return "MMF would want model and datasets on the command line"


def take_from_yaml(opts: Any, user: Any) -> None:
    """Copy `model` and `datasets` from the yaml's configuration to the command line's, where that has none.

    A list of datasets becomes the comma-separated string that MMF splits. `dataset` is understood as on the command
    line.
    """
    if opts.get("model") is None and user.get("model") is not None:
        opts["model"] = user["model"]
    datasets = user.get("datasets") or user.get("dataset")
    if datasets is None:
        return
    datasets = datasets if isinstance(datasets, str) else ",".join(datasets)
    user.pop("dataset", None)
    user["datasets"] = datasets
    if opts.get("datasets") is None and opts.get("dataset") is None:
        opts["datasets"] = datasets


def check_model(name: str | None, registry: Any) -> None:
    """Refuse a model that is not registered; MMF warns, and fails later on something else.

    Raises:
        InputError: naming it, and what was likely meant.
    """
    if name is not None and registry.get_model_class(name) is None:
        near = difflib.get_close_matches(name, registry.mapping["model_name_mapping"], n=1)
        meant = f" (did you mean '{near[0]}'?)" if near else ""
        raise InputError(f"there is no model named '{name}'{meant}; this package's is '{MODEL}'")


def find_our_configs(configuration: ModuleType) -> str | None:
    """`get_absolute_path` (MMF rc10 and main) looks in the working folder and beside MMF; ours lie beside our package.

    Only for paths below `projects/visualbert`, as a command line or an include names them. Stays.
    """
    get_absolute_path = configuration.get_absolute_path

    @functools.wraps(get_absolute_path)
    def get_path(paths: Any) -> Any:
        found = get_absolute_path(paths)
        return our_path(found) or found if isinstance(found, str) and not os.path.exists(found) else found

    replace(configuration, get_absolute_path=get_path)
    return "MMF would look for projects/visualbert beside itself"


def find_own_package(configuration: ModuleType) -> str | None:
    """`import_user_dir` (MMF main) does not find a package that `env.user_dir` names without a slash. Stays.

    The folder that holds it is put on the path, for both versions, so that one yaml serves both.
    """
    cls = configuration.Configuration
    import_user_dir = cls.import_user_dir

    @functools.wraps(import_user_dir)
    def import_found(self: Any) -> Any:
        for config in (self._opts_config, self._user_config):
            folder = (config.get("env") or {}).get("user_dir")
            if folder and (Path(folder) / "__init__.py").is_file():
                sys.path.insert(0, str(Path(folder).resolve().parent))
                break
        return import_user_dir(self)

    replace(cls, import_user_dir=import_found)
    return "MMF would not find a package named without a slash"


def tell_of_unreadable_yaml(configuration: ModuleType) -> str | None:
    """`Configuration` (MMF rc10 and main) shows a traceback where a yaml is missing, none or circular. Stays."""
    cls = configuration.Configuration
    build_user = cls._build_user_config

    @functools.wraps(build_user)
    def build_readable(self: Any, opts: Any) -> Any:
        if opts.get("config") and Path(opts.config).is_file():
            refuse_expansion(Path(opts.config))
        try:
            built = build_user(self, opts)
            return with_home(built) if opts.get("config") else built
        except FileNotFoundError as error:
            raise InputError(f"config={opts.config}: {error.filename} does not exist; correct the path") from error
        except YAMLError as error:
            said = " ".join(str(error).split())
            raise InputError(f"config={opts.config} or a file that it includes is no valid yaml: {said}") from error
        except (RecursionError, AttributeError):
            read_yaml(Path(opts.config))  # says which file includes itself, or has includes that are no list
            raise

    replace(cls, _build_user_config=build_readable)
    return "MMF would answer a wrong path with a traceback"


def refuse_ignored_keys(configuration: ModuleType) -> str | None:
    """`Configuration` (MMF rc10 and main) ignores keys of a yaml that nothing reads, such as a misspelt one.

    For runs of our model they are refused. Stays.
    """
    cls = configuration.Configuration
    build_model, build_datasets, build_others = (
        cls._build_model_config,
        cls._build_dataset_config,
        cls._build_other_configs,
    )

    @functools.wraps(build_model)
    def note_model_defaults(self: Any, opts: Any) -> Any:
        self._visualbert_defaults = [build_model(self, opts)]
        return self._visualbert_defaults[0]

    @functools.wraps(build_datasets)
    def note_dataset_defaults(self: Any, opts: Any) -> Any:
        if opts.get("model") == MODEL:
            check_datasets(opts.get("datasets") or opts.get("dataset") or "", configuration.registry)
        self._visualbert_defaults.append(build_datasets(self, opts))
        return self._visualbert_defaults[1]

    @functools.wraps(build_others)
    def build_checked(self: Any) -> Any:
        others = build_others(self)
        if self._opts_config.get("model") == MODEL:
            check_keys(self, configuration.registry)
        return others

    replace(cls, _build_model_config=note_model_defaults, _build_dataset_config=note_dataset_defaults)
    replace(cls, _build_other_configs=build_checked)
    return "MMF would ignore misspelt keys"


def check_datasets(names: str, registry: Any) -> None:
    """Refuse a dataset that is not registered; MMF warns, and fails later on something else.

    Raises:
        InputError: naming it and those there are, of ours and of the installed MMF.
    """
    there = sorted(registry.mapping["builder_name_mapping"], key=lambda name: (not name.startswith(DATASETS), name))
    for name in filter(None, names.split(",")):
        if registry.get_builder_class(name) is None:
            raise InputError(
                f"there is no dataset named '{name}'; for model '{MODEL}' and MMF {mmf_version()} there are "
                f"{', '.join(there)}"
            )


def check_keys(configuration: Any, registry: Any) -> None:
    """Refuse what nothing would read in the yaml.

    Args:
        configuration: MMF's Configuration, before its parts are merged.
        registry: MMF's.

    Raises:
        InputError: naming every such key.
    """
    user = plain(configuration._user_config)
    read = OmegaConf.merge(configuration._visualbert_mmf_defaults, *configuration._visualbert_defaults)
    for key in keys_read_beside():
        OmegaConf.update(read, key, {}, force_add=True)
    known = plain(read)
    leave_others_free(known, user, registry)
    refuse(config_keys.unknown_keys(user, known), configuration.config_path, known)


def keys_read_beside() -> tuple[str, ...]:
    """Keys that the installed MMF reads although its defaults do not have them."""
    return READ_BY_BOTH + tuple(key for key, file in READ_IN.items() if reads(key, file))


def reads(key: str, file: str) -> bool:
    """Whether a file of the installed MMF asks for the last part of a dotted key."""
    return f'get("{key.rpartition(".")[2]}"' in text_of("mmf", file)


def leave_others_free(read: dict[str, Any], user: Mapping[str, Any], registry: Any) -> None:
    """Let the datasets that are not ours hold any key, those chosen and those only mentioned."""
    datasets = read.setdefault("dataset_config", {})
    for name in set(datasets) | set(user.get("dataset_config") or {}):
        if not name.startswith(DATASETS) and registry.get_builder_class(name) is not None:
            datasets[name] = {}
        elif name not in datasets and registry.get_builder_class(name) is not None:
            datasets[name] = {}


def refuse(unknown: list[str], where: str, known: Mapping[str, Any]) -> None:
    """Raise InputError if there is an unknown key."""
    if unknown:
        raise InputError(config_keys.complaint(where, unknown, known, HINTS, f"MMF {mmf_version()}"))


def plain(config: Any) -> dict[str, Any]:
    """A configuration as plain containers, with its interpolations as they are written."""
    return container(config, resolve=False)
