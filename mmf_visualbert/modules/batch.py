"""From a batch of samples, as MMF collated it, to the encoder's typed inputs."""

from collections.abc import Mapping

from torch import Tensor

from mmf_visualbert.modules.inputs import RegionInputs, TextInputs
from mmf_visualbert.modules.on_host import known


def visual_bert_inputs(
    sample: Mapping[str, Tensor], features: Tensor | None = None
) -> tuple[TextInputs, RegionInputs | None]:
    """Texts flattened to (B · C, T), row-major, and the regions of the B images; None where the batch has none.

    Args:
        sample: tensors by name; texts are (B, T), or (B, C, T) where an image has C of them.
        features: (B, R, D) from a region encoder; None to take the sample's `region_features`, if it has any.
    """
    text = TextInputs(*(_per_text(sample[name], 2) for name in ("input_ids", "text_mask", "text_segments")))
    text_mask = known(sample, "text_mask")
    if text_mask is not None:
        text = text._replace(on_host=_per_text(text_mask, 2))
    if features is None:
        features = sample.get("region_features")
    if features is None:
        return text, None
    alignment = sample.get("alignment")
    if alignment is not None:
        alignment = _per_text(alignment, 3)
    mask, segments = sample["region_mask"], sample["region_segments"]
    return text, RegionInputs(features, mask, segments, alignment, known(sample, "region_mask"))


def _per_text(tensor: Tensor, dimensions: int) -> Tensor:
    return tensor.flatten(0, 1) if tensor.dim() > dimensions else tensor
