"""torchvision's C++ operators where they cannot load."""

from types import ModuleType

import torch

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
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
