"""What MMF's release lacks where a run has several data sets, or a metric has keys of its own or several values."""

import functools
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat.probes import mentions
from mmf_visualbert.compat.replace import replace

ALWAYS = {"dataset_name", "dataset_type"}


def heed_keys_of_metrics(metrics: ModuleType) -> str | None:
    """`Metrics` (MMF rc10) passes over a metric's `params`, `key` and `datasets`, and takes one value of each alone.

    Main knows them, and metrics that give several values by name. Can go with rc10.
    """
    cls = metrics.Metrics
    if mentions(cls.__call__, "is_dataset_applicable"):
        return None
    registry = metrics.registry

    def init_metrics(self: Any, metric_list: Iterable[Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        self.datasets_of = {}
        for given in metric_list:
            metric = given if isinstance(given, Mapping) else {"type": given}
            name, key = metric["type"], metric.get("key") or metric["type"]
            if registry.get_metric_class(name) is None:
                raise ValueError(f"No metric named {name} registered to registry")
            if key in made:
                raise RuntimeError(
                    f"the metric '{key}' stands twice in evaluation.metrics; give one a `key` of its own"
                )
            made[key] = registry.get_metric_class(name)(**(metric.get("params") or {}))
            named = metric.get("datasets") or ()
            self.datasets_of[key] = [named] if isinstance(named, str) else list(named)
        self.required_params = required(made.values())
        return made

    def calculate(self: Any, sample_list: Any, model_output: Any, *rest: Any, **options: Any) -> dict[str, Any]:
        values = {}
        before = f"{sample_list.dataset_type}/{sample_list.dataset_name}"
        with torch.no_grad():
            for key, metric in of_dataset(self, sample_list.dataset_name).items():
                value = metric._calculate_with_checks(sample_list, model_output, *rest, **options)
                for name, each in (value if isinstance(value, Mapping) else {"": value}).items():
                    where = "/".join(filter(None, (before, key, name)))
                    values[where] = torch.atleast_1d(torch.as_tensor(each).float())
        registry.register(f"metrics.{sample_list.dataset_name}.{sample_list.dataset_type}", values)
        return values

    replace(cls, _init_metrics=init_metrics, __call__=calculate)
    return "MMF would pass over a metric's params, key and datasets"


def of_dataset(metrics: Any, dataset: str) -> dict[str, Any]:
    """The metrics of a data set, by their keys."""
    of = metrics.datasets_of
    return {key: metric for key, metric in metrics.metrics.items() if not of[key] or dataset in of[key]}


def required(metrics: Iterable[Any]) -> set[str]:
    """What metrics read."""
    return ALWAYS.union(*(metric.required_params for metric in metrics))


def evaluate_each_dataset(base_trainer: ModuleType) -> str | None:
    """`BaseTrainer.evaluate` (MMF rc10) takes the samples of several data sets for those of one. Main does not.

    Can go with rc10.
    """
    cls = base_trainer.BaseTrainer
    evaluate = vars(cls).get("evaluate")
    if evaluate is None:
        return None

    @functools.wraps(evaluate)
    def evaluate_each(self: Any, loader: Any, *rest: Any, **options: Any) -> Any:
        if loader.num_datasets < 2:
            return evaluate(self, loader, *rest, **options)
        whole, read = None, self.metrics.required_params
        loader.change_dataloader = lambda: None  # which MMF calls after every batch
        try:
            for place, dataset in enumerate(loader.datasets):
                loader.current_index, loader.current_dataset = place, dataset
                self.metrics.required_params = required(of_dataset(self.metrics, dataset.dataset_name).values())
                report, meter = evaluate(self, loader.loaders[place], *rest, **options)
                whole = meter if whole is None else together(whole, meter)
        finally:
            del loader.change_dataloader
            self.metrics.required_params = read
        return report, whole

    replace(cls, evaluate=evaluate_each)
    return "MMF would measure several data sets as one"


def together(first: Any, second: Any) -> Any:
    """The numbers of two of MMF's meters in the first: those that both have are means over the samples of both."""
    for name, meter in second.meters.items():
        if name in first.meters:
            first.meters[name].update(meter.global_avg, meter.total_samples)
        else:
            first.meters[name] = meter
    return first
