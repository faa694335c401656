"""Which library computes fp32 matrix products on the CPU.

torch hands them to MKL, which is slow on CPUs that are not Intel's. oneDNN is up to twice as fast there. It is asked
for through a switch that lets it compute in bf16, and on CPUs without AMX it keeps fp32 all the same: so the error is
looked at, and not the promise.
"""

import functools
import logging
from pathlib import Path

import torch
from torch import Tensor

from mmf_visualbert.compat import onednn
from mmf_visualbert.errors import InputError

logger = logging.getLogger(__name__)

CHOICES = ("auto", "torch", "onednn")
KEY = "model_config.visualbert.fp32_products"
# oneDNN adds in another order than MKL; bf16's error is thousands of times fp32's.
TIMES_THE_ERROR = 4.0


def choose_products(asked: str) -> str:
    """Sets the library of this process for fp32 products on the CPU, and logs which it is and why.

    Args:
        asked: "torch" leaves torch's own choice; "onednn"; "auto" takes oneDNN where the CPU is not Intel's and the
            products have the error of fp32. The answer depends on the machine and torch alone, never on a clock, so
            that a run that goes on computes as it began.

    Returns:
        "torch" or "onednn".

    Raises:
        InputError: for another word, or "onednn" where it would not compute in fp32.
    """
    if asked not in CHOICES:
        raise InputError(f"{KEY} is '{asked}'; set one of {', '.join(CHOICES)}")
    if asked == "torch":
        return "torch"
    obstacle = why_not_onednn()
    if asked == "onednn" and obstacle:
        raise InputError(f"{KEY} is 'onednn', but {obstacle}; set 'auto' or 'torch'")
    if asked == "auto" and (obstacle or is_intel()):
        logger.info(f"fp32 products on the CPU: torch's own choice ({obstacle or 'the CPU is made by Intel'})")
        return "torch"
    onednn.switch_on()
    logger.info("fp32 products on the CPU: oneDNN, with the error of fp32")
    return "onednn"


@functools.cache
def why_not_onednn() -> str | None:
    """What stands against oneDNN here; None where nothing does."""
    if not onednn.has_switch():
        return f"torch {torch.__version__} cannot hand fp32 products to oneDNN"
    own = error_of_product()
    with onednn.switched_on():
        error = error_of_product()
    if error > TIMES_THE_ERROR * own:
        return f"oneDNN's products are {error:.0e} off on this CPU, and those of fp32 {own:.0e}"
    return None


def error_of_product() -> float:
    """Largest error of a linear map's fp32 output and gradients, relative to the largest exact value."""
    generator = torch.Generator().manual_seed(0)
    states, weight = (torch.randn(size, 768, generator=generator) for size in (128, 512))
    above = torch.randn(128, 512, generator=generator)
    return max(
        _error(states, weight.t()),
        _error(above, weight),
        _error(above.t(), states),
    )


def _error(left: Tensor, right: Tensor) -> float:
    exact = left.double() @ right.double()
    return float(((left @ right).double() - exact).abs().max() / exact.abs().max())


def is_intel(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU is made by Intel; true where nothing says who made it, as MKL is then as good a guess."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return True
    makers = [line.split(":", 1)[1].strip() for line in lines if line.startswith("vendor_id")]
    return not makers or makers[0] == "GenuineIntel"
