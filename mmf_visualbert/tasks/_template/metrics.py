"""What is measured: accuracy, each example once over all processes."""

from mmf_visualbert.catalog import register
from mmf_visualbert.metrics.accuracy import Accuracy


@register("metric", "visualbert_template_accuracy")
def template_accuracy() -> Accuracy:
    """Share of the examples with the right label."""
    return Accuracy()
