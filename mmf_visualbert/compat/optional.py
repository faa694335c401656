"""Packages that only some commands need, and what to say where they are missing."""

import importlib
import importlib.util
import sys
from importlib.resources import files
from types import ModuleType
from typing import Any

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError

DETECTRON2_INSTALL = "pip install --no-build-isolation git+https://github.com/facebookresearch/detectron2.git"


def is_installed(package: str) -> bool:
    """Whether an optional package is installed; it is not imported."""
    return importlib.util.find_spec(package) is not None


def has_detectron2() -> bool:
    """Whether detectron2 is installed; it is not imported."""
    return is_installed("detectron2")


def require_detectron2() -> ModuleType:
    """The package `detectron2`, ready for its model zoo.

    Raises:
        InputError: where it is missing or was built for another torch, with the command that installs it.
    """
    if not has_detectron2():
        raise InputError(
            "extracting region features from images needs detectron2, which is not on PyPI; "
            f"install it with a C++ compiler at hand: {DETECTRON2_INSTALL}"
        )
    _provide_pkg_resources()
    try:
        importlib.import_module("detectron2._C")
    except ImportError as error:
        raise InputError(
            f"detectron2 does not fit this torch ({error}); build it again: {DETECTRON2_INSTALL} --force-reinstall"
        ) from None
    importlib.import_module("torchvision.ops")  # whose operators it runs on; see `compat.torchvision_operators`
    return importlib.import_module("detectron2")


def require(package: str, purpose: str) -> Any:
    """An optional package by name.

    Raises:
        InputError: saying what it is needed for and how to get it.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(f"{purpose} needs the package {package}; pip install {package}") from None


def _provide_pkg_resources() -> None:
    """`import pkg_resources` (detectron2's model zoo): setuptools dropped it in version 81.

    One function of it is used, to find the configs. Can go when the model zoo uses importlib.resources.
    """
    if "pkg_resources" in sys.modules or importlib.util.find_spec("pkg_resources") is not None:
        return
    module = ModuleType("pkg_resources")
    replace(module, resource_filename=lambda package, name: str(files(package).joinpath(name)))
    sys.modules["pkg_resources"] = module
