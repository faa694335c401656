"""One per-sample number over another: what most metrics are; each sample once over all ranks."""

from collections.abc import Mapping

from torch import Tensor

from mmf_visualbert.metrics.gather import gather_by_id


class Ratio:
    """Sum of one per-sample number of the model's output over the sum of another; NaN where there is nothing to count.

    Args:
        total: name of the numerator in the model's output, (B,) or (B, C).
        count: name of the denominator, of the same shape.
        column: which of the C columns, where there are columns.
    """

    def __init__(self, total: str, count: str, column: int | None = None) -> None:
        self.total = total
        self.count = count
        self.column = column
        self.required_params = ["id", total, count]

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The ratio, () float32; `sample_list` has `id` (B,) int64, `model_output` the per-sample numbers."""
        total, count = gather_by_id(sample_list["id"], model_output[self.total], model_output[self.count])
        if self.column is not None:
            total, count = total[:, self.column], count[:, self.column]
        return (total.double().sum() / count.double().sum()).float()
