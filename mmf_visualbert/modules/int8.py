"""Linear maps in 8-bit whole numbers on the CPU, for inference: a quarter of the weights' memory, and faster products.

Weights are rounded once, symmetrically, each row of a map with a scale of its own; inputs anew for every batch. All
else stays in fp32: embeddings, layer norms, attention's own products, heads.
"""

import warnings

import torch
from torch import Tensor, nn

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.visual_bert import VisualBertEncoder

LARGEST = 127  # of a symmetric 8-bit number


class Int8Linear(nn.Module):
    """A linear map with 8-bit weights and inputs; bias and output are fp32. It has no gradient.

    Args:
        linear: in fp32, on the CPU.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach().float()
        scales = (weight.abs().amax(dim=1) / LARGEST).clamp_min(torch.finfo(torch.float32).tiny)
        with warnings.catch_warnings():
            # torch means to take its quantized tensors away one day; products of plain 8-bit tensors are ten times
            # slower than fp32 on CPUs so far (2.13).
            warnings.simplefilter("ignore")
            rounded = torch.quantize_per_channel(weight, scales, torch.zeros_like(scales).long(), 0, torch.qint8)
        bias = None if linear.bias is None else linear.bias.detach().float()
        self.packed = torch.ops.quantized.linear_prepack(rounded, bias)

    def forward(self, states: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        # Inputs take 7 bits, so that kernels of CPUs without VNNI, which add in 16 bits, do not overflow.
        return torch.ops.quantized.linear_dynamic(states, self.packed, True)


def to_int8(visual_bert: VisualBertEncoder) -> None:
    """Puts 8-bit maps in place of those of all layers.

    Raises:
        InputError: where the installed torch has no such products for this CPU.
    """
    try:
        for layers in (visual_bert.encoder, visual_bert.additional_layer):
            for parent in [] if layers is None else list(layers.modules()):
                for name, child in list(parent.named_children()):
                    if isinstance(child, nn.Linear):
                        setattr(parent, name, Int8Linear(child))
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        said = str(error).splitlines()[0]
        raise InputError(
            f"torch {torch.__version__} has no 8-bit products for this CPU ({said}); take fp32 or bf16"
        ) from error
