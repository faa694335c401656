"""MMF's reports on several processes: each sample counts once, in losses, metrics and predictions."""

import functools
import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat.distributed import rank, world_size
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError
from mmf_visualbert.metrics.gather import gather
from mmf_visualbert.plugin.configuration import MODEL
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


def is_ours() -> bool:
    """Whether the run is of our model."""
    from mmf.common.registry import registry  # MMF imports what this accompanies while it makes it

    return registry.get("config").model == MODEL
