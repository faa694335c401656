"""torchvision's C++ operators where they cannot load."""

import functools
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat import box_kernels
from mmf_visualbert.compat.replace import replace

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": "roi_align(Tensor input, Tensor rois, float spatial_scale, "
    "SymInt pooled_height, SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor",
    "roi_pool": "roi_pool(Tensor input, Tensor rois, float spatial_scale, "
    "SymInt pooled_height, SymInt pooled_width) -> (Tensor, Tensor)",
}
KERNELS = {"nms": box_kernels.nms, "roi_align": box_kernels.roi_align, "roi_pool": box_kernels.roi_pool}
# The modules that ask for compiled operators before they call one of these.
CALLERS = ("boxes", "roi_align", "roi_pool")
_libraries: list[torch.library.Library] = []  # a library's definitions end with it


def define_missing_schemas(extension: ModuleType) -> str | None:
    """`import torchvision` (0.20 and later) beside a torch it was not built for, as its CUDA build beside CPU torch.

    The C++ operators do not load, and registering `torchvision::nms` for shape inference then fails the import. With
    the schemas defined it goes on, without operators. Can go when torchvision guards those registrations.
    """
    if extension._has_ops():
        return None
    missing = [name for name in SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    if not missing:
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in missing:
        library.define(SCHEMAS[name])
    _libraries.append(library)
    return "torchvision's C++ operators do not load beside this torch"


def compute_in_torch(ops: ModuleType) -> str | None:
    """`torchvision.ops` without compiled operators: nms, roi_align and roi_pool are computed by torch, slower.

    So detectors run wherever torch does. Can go with `define_missing_schemas`.
    """
    if sys.modules["torchvision.extension"]._has_ops():
        return None
    library = torch.library.Library("torchvision", "IMPL")
    for name, kernel in KERNELS.items():
        library.impl(name, kernel, "CompositeImplicitAutograd")
    _libraries.append(library)
    for name in CALLERS:
        caller = sys.modules[f"{ops.__name__}.{name}"]
        replace(caller, _assert_has_ops=_say_once)
        if hasattr(caller, "_roi_align"):  # which would be compiled when it is called first
            replace(caller, _roi_align=_in_place_of(caller._roi_align))
    return "torchvision's C++ operators do not load, and torch computes them"


def _in_place_of(theirs: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(theirs)
    def roi_align(*arguments: Any) -> Any:
        return box_kernels.roi_align(*arguments)

    return roi_align


def computes() -> bool:
    """Whether nms, roi_align and roi_pool can be called, compiled or not."""
    return sys.modules["torchvision.extension"]._has_ops() or len(_libraries) > 1


_said: list[str] = []


def _say_once() -> None:
    """In place of refusing: one warning."""
    if not _said:
        _said.append("torchvision's compiled operators do not load beside this torch; detectors run without, slower")
        warnings.warn(_said[0], stacklevel=3)
