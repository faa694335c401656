"""MMF's reports on several processes: each sample counts once, in losses, metrics and predictions."""

import functools
import json
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat.distributed import rank, world_size
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.metrics.gather import gather
from mmf_visualbert.plugin.configuration import DATASETS, MODEL
from mmf_visualbert.plugin.shared_losses import NOT_COUNTED, batch_size


def count_whole_batches(report: ModuleType) -> str | None:
    """`Report` (MMF rc10 and main) weighs a loss with the samples of the first process alone. Stays."""
    cls = report.Report
    build = cls.__init__

    @functools.wraps(build)
    def build_counted(self: Any, batch: Any = None, *rest: Any, **options: Any) -> None:
        build(self, batch, *rest, **options)
        if world_size() > 1 and isinstance(batch, Mapping) and is_ours():
            self.batch_size = batch_size(batch)

    replace(cls, __init__=build_counted)
    return "MMF would weigh the losses of several processes with the samples of one"


def refuse_to_measure_without_labels(report: ModuleType) -> str | None:
    """`Report` (MMF rc10 and main) ends with a traceback where a split is measured that has no labels. Stays.

    It is said at the second batch; the labels of many a test split are not public.
    """
    cls = report.Report
    (name,) = {"accumulate_tensor_fields", "accumulate_tensor_fields_and_loss"}.intersection(vars(cls))
    accumulate = vars(cls)[name]

    @functools.wraps(accumulate)
    def accumulate_labelled(self: Any, other: Any, fields: Iterable[str]) -> None:
        if is_ours():
            refuse_unlabelled(self, fields)
        accumulate(self, other, fields)

    replace(cls, **{name: accumulate_labelled})
    return "MMF would end with a traceback where a split without labels is measured"


def refuse_to_measure_one_batch_without_labels(metrics: ModuleType) -> str | None:
    """`Metrics` (MMF rc10 and main): the same for a split of one batch, and at the end. Stays."""
    cls = metrics.Metrics
    calculate = cls.__call__

    @functools.wraps(calculate)
    def calculate_labelled(self: Any, batch: Any, *rest: Any, **options: Any) -> Any:
        if is_ours():
            refuse_unlabelled(batch, self.required_params)
        return calculate(self, batch, *rest, **options)

    replace(cls, __call__=calculate_labelled)
    return "MMF would end with a traceback where a split without labels is measured"


def refuse_unlabelled(report: Mapping[str, Any], read: Iterable[str]) -> None:
    """Refuses to measure what has no labels.

    Args:
        report: of a batch, or of several.
        read: the fields that the run's metrics read.

    Raises:
        InputError: naming the split, and how it is predicted.
    """
    name, split = str(report["dataset_name"]), report["dataset_type"]
    missing = [field for field in sorted(read) if field not in report]
    if missing and name.startswith(DATASETS) and len(datasets()) == 1:
        raise InputError(
            f"the {split} split of {name} has no {', '.join(missing)}, which the run's metrics read; where its labels "
            f"are not public, write its predictions: mmf_predict with the same words and run_type={split}"
        )


def take_uneven_batches(evaluation_loop: ModuleType) -> str | None:
    """`validate_batch_sizes` (MMF main) leaves out the last batch where processes have unequal shares. Stays."""
    validate = evaluation_loop.validate_batch_sizes
    replace(evaluation_loop, validate_batch_sizes=lambda size: is_ours() or validate(size))
    return "MMF would leave out the last batch of an evaluation on several processes"


def report_each_sample_once(test_reporter: ModuleType) -> str | None:
    """`TestReporter` (MMF rc10 and main) gathers predictions by equal shapes, and takes repeated samples twice. Stays.

    Ours are made on each process, and put in the order of the samples on the first.
    """
    cls = test_reporter.TestReporter
    add = cls.add_to_report

    @functools.wraps(add)
    def add_once(self: Any, report: Any, model: Any, *rest: Any, **options: Any) -> None:
        if world_size() == 1 or not is_ours():
            add(self, report, model, *rest, **options)
            return
        entries = whole_batch(entries_by_sample(self.current_dataset, report))
        self.report = self.report + (entries if rank() == 0 else [])

    replace(cls, add_to_report=add_once)
    return "MMF would repeat samples in the predictions of several processes"


def entries_by_sample(dataset: Any, report: Mapping[str, Any]) -> list[tuple[int, list[Any]]]:
    """The index of each sample of this process's share with its entries; none for a sample that stands in for none.

    Raises:
        InputError: for samples without an `id`, as those of some of MMF's own datasets.
    """
    if NOT_COUNTED in report:
        return []
    if "id" not in report:
        raise InputError(
            f"the samples of {report.get('dataset_name')} have no `id`, by which several processes put predictions in "
            "order; predict with one"
        )
    ids = report["id"].tolist()
    return [(index, dataset.format_for_prediction(part(report, row, len(ids)))) for row, index in enumerate(ids)]


def part(report: Mapping[str, Any], row: int, size: int) -> dict[str, Any]:
    """One sample's tensors out of a batch of `size`."""
    return {
        name: value[row : row + 1]
        for name, value in report.items()
        if isinstance(value, torch.Tensor) and value.dim() and len(value) == size
    }


def whole_batch(shares: list[tuple[int, list[Any]]]) -> list[Any]:
    """The entries of all processes' samples, in the order of the samples."""
    text = json.dumps(shares).encode() + b"\n"
    lines = bytes(gather(torch.tensor(list(text), dtype=torch.uint8)).tolist()).splitlines()
    return [entry for _, entries in sorted(each for line in lines for each in json.loads(line)) for entry in entries]


def datasets() -> list[str]:
    """The names of the run's datasets."""
    from mmf_visualbert.plugin import run_facts  # imports MMF

    return run_facts.datasets()


def is_ours() -> bool:
    """Whether the run is of our model."""
    from mmf.common.registry import registry  # MMF imports what this accompanies while it makes it

    return registry.get("config").model == MODEL
