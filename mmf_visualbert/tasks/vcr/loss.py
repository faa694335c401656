"""R2C's auxiliary loss on the objects of a frame. The loss over VCR's choices is `visualbert_cross_entropy`."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import CountedLoss, Mean
from mmf_visualbert.modules.on_host import on_cpu, places


@register("loss", "visualbert_region_classes")
class RegionClasses(CountedLoss):
    """L = -(w / N) sum over the batch's N regions of log p(class), the whole image being background.

    It keeps the RoI backbone able to tell objects apart. R2C has w = 1 (utils/detector.py, cnn_regularization_loss),
    the released VisualBERT 0.

    Args:
        weight: w.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def mean(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Mean:
        """Reads `region_classes` and `region_mask` (B, R) and `region_class_logits` (N, 81)."""
        classes = sample_list["region_classes"]
        classes = classes[places(on_cpu(sample_list, "region_mask"), classes.device)]
        total = functional.cross_entropy(model_output["region_class_logits"].float(), classes, reduction="sum")
        return Mean(self.weight * total, classes.new_full((), classes.numel()))

    def forward(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch, ()."""
        return self.mean(sample_list, model_output).value
