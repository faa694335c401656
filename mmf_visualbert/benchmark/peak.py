"""How much of the machine's matrix products a step makes use of: floating point operations that the tokens need, beside
those that the machine makes in plain products of BERT-base's shapes, measured in the same run.

What counts is what a BERT of the size computes for tokens that hold something, in all its layers. Padding is no use,
and what an implementation need not compute (rows of the last layer that no head reads) counts as if it had.
"""

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from mmf_visualbert.compat import onednn
from mmf_visualbert.modules.products import why_not_onednn

ROUNDS = 5
# Rows of the products, and products in a row: a GPU needs more of both before its rate is what is measured.
ROWS, AT_ONCE = {"cpu": 1024, "cuda": 16384}, {"cpu": 1, "cuda": 20}
SHAPES = ((768, 768), (768, 3072), (3072, 768))  # what a layer maps from and to
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def matrix_peak(dtype: str, device: str) -> float:
    """Operations a second of the fastest of some products, through the faster of the libraries that compute right.

    Args:
        dtype: "fp32" or "bf16".
        device: cpu or cuda.
    """
    best = _fastest(TYPES[dtype], device)
    if device == "cpu" and dtype == "fp32" and why_not_onednn() is None:
        with onednn.switched_on():
            best = max(best, _fastest(TYPES[dtype], device))
    return best


def useful_operations(sample: Mapping[str, Tensor], size: Mapping[str, int], dimension: int, training: bool) -> float:
    """Operations that a batch's word pieces and regions need in a BERT, 2 for a multiplication with its addition.

    Linear maps of all layers, attention's two products, the projection of the regions; thrice as many in training,
    whose backward pass has two products for each of the forward pass. Heads and embeddings are left out.

    Args:
        sample: `text_mask` (B, ..., T), `region_mask` (B, R), which each of a text's sequences reads.
        size: of BERT: `hidden_size`, `intermediate_size`, `num_hidden_layers`.
        dimension: of a region's features.
        training: forward and backward pass, else the forward pass alone.
    """
    width, between, layers = (size[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    regions = sample["region_mask"].sum(-1)
    lengths = sample["text_mask"].sum(-1).reshape(len(regions), -1) + regions[:, None]
    tokens, pairs = float(lengths.sum()), float(lengths.double().square().sum())
    layer = tokens * (4 * width * width + 2 * width * between) + 2 * pairs * width
    forward = 2 * (layers * layer + float(regions.sum()) * dimension * width)
    return forward * (3 if training else 1)


def _fastest(dtype: torch.dtype, device: str) -> float:
    return max(_rate(shape, dtype, device) for shape in SHAPES)


def _rate(shape: tuple[int, int], dtype: torch.dtype, device: str) -> float:
    into, out = shape
    rows, count = ROWS[device], AT_ONCE[device]
    states = torch.randn(rows, into, device=device).to(dtype)
    weight = torch.randn(out, into, device=device).to(dtype)
    seconds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(count):
            torch.nn.functional.linear(states, weight)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return 2 * rows * into * out * count / min(seconds)
