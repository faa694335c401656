"""Hands every part of the catalog to MMF's registry, in the shapes that MMF asks for.

Our parts are plain classes with typed keywords. MMF wants subclasses of its own bases that take configuration objects;
the adapters here are the only place where the one becomes the other.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmf.common.registry import registry
from mmf.datasets.processors.processors import BaseProcessor
from mmf.modules.metrics import BaseMetric

from mmf_visualbert import catalog
from mmf_visualbert.plugin.run_facts import train_samples
from mmf_visualbert.plugin.training_length import training_updates

ROOMS = ("processors", "modules", "losses", "metrics", "tasks")


def register_all() -> None:
    """Registers the model, datasets, processors, losses, metrics, optimizer and scheduler with MMF. Safe to repeat."""
    import_parts()
    from mmf_visualbert.plugin.datasets import dataset_builder
    from mmf_visualbert.plugin.model import VisualBERT

    registry.register_model("visualbert")(VisualBERT)
    for name in catalog.names("dataset"):
        registry.register_builder(name)(dataset_builder(name))
    for name in catalog.names("processor"):
        registry.register_processor(name)(mmf_processor(catalog.get("processor", name)))
    for name in catalog.names("loss"):
        registry.register_loss(name)(catalog.get("loss", name))
    for name in catalog.names("metric"):
        registry.register_metric(name)(mmf_metric(name, catalog.get("metric", name)))
    for name in catalog.names("optimizer"):
        registry.register_optimizer(name)(catalog.get("optimizer", name))
    for name in catalog.names("scheduler"):
        registry.register_scheduler(name)(mmf_scheduler(catalog.get("scheduler", name)))


def import_parts() -> None:
    """Imports every module that files parts in the catalog; a new file in a room needs no other line."""
    for room in ROOMS:
        package = importlib.import_module(f"mmf_visualbert.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


def mmf_processor(part: Callable[..., Any]) -> type[BaseProcessor]:
    """A subclass of MMF's BaseProcessor around a plain processor; the plain one is its attribute `part`."""

    class Processor(BaseProcessor):
        def __init__(self, config: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
            super().__init__(config)
            self.part = part(**config)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return self.part(*args, **kwargs)

    Processor.__name__ = Processor.__qualname__ = getattr(part, "__name__", "Processor")
    return Processor


def mmf_metric(name: str, part: Callable[..., Any]) -> type[BaseMetric]:
    """A subclass of MMF's BaseMetric around a plain metric."""

    class Metric(BaseMetric):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(name)
            self.part = part(**kwargs)
            self.required_params = list(self.part.required_params)

        def calculate(self, sample_list: Mapping, model_output: Mapping, *args: Any, **kwargs: Any) -> torch.Tensor:
            return self.part.calculate(sample_list, model_output)

    Metric.__name__ = Metric.__qualname__ = getattr(part, "__name__", "Metric")
    return Metric


def mmf_scheduler(part: Callable[..., Any]) -> Callable[..., Any]:
    """A scheduler that takes its number of steps from the run where its `num_training_steps` is left out."""

    def scheduler(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("num_training_steps") is None:
            kwargs["num_training_steps"] = training_updates(registry.get("config"), train_samples())
        return part(optimizer, *args, **kwargs)

    return scheduler
