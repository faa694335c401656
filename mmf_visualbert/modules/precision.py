"""In which type a model computes: fp32, or bf16 under autocast, its weights staying fp32."""

import functools
import logging

import torch

from mmf_visualbert.compat import onednn

logger = logging.getLogger(__name__)

PRECISIONS = ("fp32", "bf16")


def in_precision(precision: str, device: str) -> torch.autocast:
    """The context of a forward pass; says once where bf16 is slower than fp32.

    Args:
        precision: one of `PRECISIONS`.
        device: type of the device: "cpu", "cuda", ...
    """
    enabled = precision == "bf16"
    if enabled and device == "cpu":
        _say_if_emulated()
    return torch.autocast(device, torch.bfloat16, enabled=enabled)


@functools.cache
def _say_if_emulated() -> None:
    if not onednn.has_bf16_products():
        logger.warning(
            "precision is bf16, and this CPU has no products in bf16 (neither AVX-512 nor AMX): they are emulated, "
            "many times slower than those of fp32; set model_config.visualbert.precision=fp32"
        )
