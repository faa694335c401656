"""As `test_needs.py`, for what MMF lacks where a run has several data sets."""

import types

import pytest
import torch
from repair_stand_ins import leaves, module, repair


class Counting:
    """A metric: how many samples there are, of all or of each class."""

    def __init__(self, required=("targets",), each=False):
        self.required_params, self.each = required, each

    def _calculate_with_checks(self, sample_list, model_output):
        targets = sample_list["targets"]
        if self.each:
            return {str(label): (targets == label).sum() for label in targets.unique().tolist()}
        return torch.tensor(len(targets))


class OldMetrics:
    """rc10's."""

    def __init__(self, metric_list):
        self.metrics = self._init_metrics(metric_list)

    def _init_metrics(self, metric_list):
        return {metric.type: None for metric in metric_list}

    def __call__(self, sample_list, model_output):
        return {}


class NewMetrics(OldMetrics):
    """Main's."""

    def __call__(self, sample_list, model_output):
        return [metric.is_dataset_applicable("a") for metric in self.metrics]


class FieldsOfBatch(dict):
    """MMF's list of samples, whose fields are attributes too."""

    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__


def repaired_metrics() -> type:
    """rc10's, repaired."""
    registry = types.SimpleNamespace(get_metric_class={"counting": Counting}.get, register=lambda name, value: None)
    made = module(Metrics=type("Metrics", (), dict(vars(OldMetrics))), registry=registry)
    assert repair("several_datasets.heed_keys_of_metrics", made)
    return made.Metrics


def test_metrics_have_keys_params_and_datasets():
    leaves("several_datasets.heed_keys_of_metrics", module(Metrics=type("Metrics", (), dict(vars(NewMetrics)))))
    metrics = repaired_metrics()
    of_a = {"type": "counting", "key": "each", "params": {"each": True, "required": ["scores"]}, "datasets": ["a"]}
    made = metrics(["counting", of_a])
    assert made.required_params == {"dataset_name", "dataset_type", "targets", "scores"}
    batch = FieldsOfBatch(targets=torch.tensor([0, 1, 1]), dataset_type="val", dataset_name="a")
    values = {key: value.tolist() for key, value in made(batch, {}).items()}
    assert values == {"val/a/counting": [3.0], "val/a/each/0": [1.0], "val/a/each/1": [2.0]}
    batch.dataset_name = "b"
    assert set(made(batch, {})) == {"val/b/counting"}
    with pytest.raises(ValueError, match="No metric named other"):
        metrics(["other"])
    with pytest.raises(RuntimeError, match="'counting' stands twice"):
        metrics(["counting", "counting"])


class MeanOf:
    """A number of MMF's meters."""

    def __init__(self, mean, samples):
        self.global_avg, self.total_samples = mean, samples

    def update(self, mean, samples):
        whole = self.total_samples + samples
        self.global_avg = (self.global_avg * self.total_samples + mean * samples) / whole
        self.total_samples = whole


def test_each_data_set_is_evaluated_alone():
    class Trainer:
        def evaluate(self, loader, use_tqdm=False):
            assert self.metrics.required_params == {"dataset_name", "dataset_type", "targets"}
            several.change_dataloader()
            name = several.current_dataset.dataset_name
            meters = {"total": MeanOf(float(len(loader)), len(loader)), name: MeanOf(1.0, len(loader))}
            return name, types.SimpleNamespace(meters=meters)

    leaves("several_datasets.evaluate_each_dataset", module(BaseTrainer=type("MainsTrainer", (), {})))
    assert repair("several_datasets.evaluate_each_dataset", module(BaseTrainer=Trainer))
    trainer = Trainer()
    of_none = {"type": "counting", "key": "other", "params": {"required": ["scores"]}, "datasets": "c"}
    trainer.metrics = repaired_metrics()(["counting", of_none])
    datasets = [types.SimpleNamespace(dataset_name=name) for name in "ab"]
    several = types.SimpleNamespace(num_datasets=2, datasets=datasets, loaders=[[1], [1, 1, 1]])
    report, meter = trainer.evaluate(several)
    means = {name: each.global_avg for name, each in meter.meters.items()}
    assert report == "b" and means == {"total": (1 * 1 + 3 * 3) / 4, "a": 1.0, "b": 1.0}
    assert not hasattr(several, "change_dataloader"), "it is MMF's own again"
    assert "scores" in trainer.metrics.required_params
