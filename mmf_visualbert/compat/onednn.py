"""torch's switch for the library behind fp32 products on the CPU, which torch before 2.9 has not."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


def has_switch() -> bool:
    """Whether the installed torch lets oneDNN compute fp32 products."""
    return torch.backends.mkldnn.is_available() and getattr(_matmul(), "fp32_precision", None) is not None


def has_bf16_products() -> bool:
    """Whether this CPU multiplies in bf16; torch emulates it where not."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def switch_on() -> None:
    """fp32 products of this process go to oneDNN; in which precision it computes them depends on the CPU."""
    _matmul().fp32_precision = "bf16"


@contextlib.contextmanager
def switched_on() -> Iterator[None]:
    """`switch_on` for as long as it lasts."""
    before = _matmul().fp32_precision
    switch_on()
    try:
        yield
    finally:
        _matmul().fp32_precision = before


def _matmul() -> Any:
    return getattr(torch.backends.mkldnn, "matmul", None)
