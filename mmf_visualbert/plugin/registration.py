"""Hands every part of the catalog to MMF's registry, in the shapes that MMF asks for.

Our parts are plain classes with typed keywords. MMF wants subclasses of its own bases that take configuration objects;
the adapters here are the only place where the one becomes the other.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmf.common.registry import registry
from mmf.datasets.processors.processors import BaseProcessor
from mmf.modules.metrics import BaseMetric

from mmf_visualbert import catalog
from mmf_visualbert.plugin.datasets import dataset_builder
from mmf_visualbert.plugin.run_facts import answers, train_batches
from mmf_visualbert.plugin.shared_losses import mmf_loss
from mmf_visualbert.plugin.timer import start_if_asked
from mmf_visualbert.plugin.training_length import training_updates


def register_all() -> None:
    """Registers the model and every part of the catalog with MMF, and parts that are filed later as they come."""
    from mmf_visualbert.plugin.model import VisualBERT

    catalog.import_parts()
    registry.register_model("visualbert")(VisualBERT)
    for kind in catalog.KINDS:
        for name in catalog.names(kind):
            hand_over(kind, name)
    catalog.listen(hand_over)
    start_if_asked()


def hand_over(kind: str, name: str) -> None:
    """Registers one part with MMF; heads and region encoders are ours alone to choose."""
    part = catalog.get(kind, name)
    if kind == "dataset":
        registry.register_builder(name)(dataset_builder(name))
    elif kind == "processor":
        registry.register_processor(name)(mmf_processor(part))
    elif kind == "loss":
        registry.register_loss(name)(mmf_loss(part))
    elif kind == "metric":
        registry.register_metric(name)(mmf_metric(name, part))
    elif kind == "optimizer":
        registry.register_optimizer(name)(part)
    elif kind == "scheduler":
        registry.register_scheduler(name)(mmf_scheduler(part))


def mmf_processor(part: Callable[..., Any]) -> type[BaseProcessor]:
    """A subclass of MMF's BaseProcessor around a plain processor; the plain one is its attribute `part`."""

    class Processor(BaseProcessor):
        def __init__(self, config: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
            super().__init__(config)
            self.part = part(**config)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return self.part(*args, **kwargs)

    Processor.__name__ = Processor.__qualname__ = part.__name__
    return Processor


def mmf_metric(name: str, part: Callable[..., Any]) -> type[BaseMetric]:
    """A subclass of MMF's BaseMetric around a plain metric."""

    class Metric(BaseMetric):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(name)
            self.part = part(**kwargs)
            self.required_params = list(self.part.required_params)

        def calculate(self, sample_list: Mapping, model_output: Mapping, *args: Any, **kwargs: Any) -> Any:
            value = self.part.calculate(sample_list, model_output)
            return by_name(value, sample_list["dataset_name"]) if isinstance(value, Mapping) else value

    Metric.__name__ = Metric.__qualname__ = part.__name__
    return Metric


def by_name(values: Mapping[int, torch.Tensor], dataset: str) -> dict[str, torch.Tensor]:
    """Values by the names of a data set's answers or labels; a slash would be a step in MMF's names of metrics."""
    names = answers((dataset,))
    return {str(names[index] if names else index).replace("/", "_"): value for index, value in values.items()}


def mmf_scheduler(part: Callable[..., Any]) -> Callable[..., Any]:
    """A scheduler that takes its number of steps from the run where its `num_training_steps` is left out."""

    def scheduler(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("num_training_steps") is None:
            kwargs["num_training_steps"] = training_updates(registry.get("config"), train_batches())
        return part(optimizer, *args, **kwargs)

    return scheduler
