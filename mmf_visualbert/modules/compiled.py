"""Functions as torch compiles them, each at its first call, for any number of tokens."""

import functools
from collections.abc import Callable
from typing import Any

import torch

Function = Callable[..., Any]


def compiled(function: Function, wanted: bool) -> Function:
    """`function`, compiled where that is wanted. It takes a module as an argument, so that copies of one keep their own
    weights, and modules of one shape share what was compiled.
    """
    return _compiled(function) if wanted else function


@functools.cache
def _compiled(function: Function) -> Function:
    return torch.compile(function, dynamic=True)
