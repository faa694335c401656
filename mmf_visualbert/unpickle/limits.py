"""What comes out of a pickle may be no deeper and no larger, with all that it repeats, than its file makes likely."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from mmf_visualbert.unpickle.arrays import Pending, RefusedError

_DEEPEST = 50  # containers in containers
_CONTAINERS = frozenset({list, tuple, dict, np.ndarray})
_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
_KEYS = frozenset({str, int, bool, bytes, type(None)})


def check_result(value: Any, most: int) -> Any:
    """What a pickle holds, after a check of its depth and size; arrays are put where they were begun.

    Args:
        value: what a pickle holds.
        most: values that it may hold, each counted in every place where it stands.

    Raises:
        RefusedError: where it is too deep or too large, holds itself, or holds a function.
    """
    place = [value]
    _weigh(place, 0, {}, most)
    return place[0]


def _weigh(value: Any, depth: int, known: dict[int, int | None], most: int) -> int:
    """How many values there are in a container, each counted in every place.

    `known` has the containers that were weighed, and None for those that this one stands in.
    """
    kind = type(value)
    if kind in (list, tuple) and _PLAIN.issuperset(map(type, value)):  # most of them
        return 1 + len(value)
    if id(value) in known:
        return _known(known[id(value)])
    if depth > _DEEPEST:
        raise RefusedError("holds containers in containers too deep for any record")
    known[id(value)] = None
    size = 1 + len(value)
    for key, one in _items(value):
        kind = type(one)
        if kind in _PLAIN:
            continue
        if issubclass(kind, Pending):
            one = _put(value, key, one)
            kind = type(one)
        if kind is np.ndarray and not one.dtype.hasobject:
            size += one.size
        elif kind in _CONTAINERS:
            size += _weigh(one.ravel().tolist() if kind is np.ndarray else one, depth + 1, known, most)
        elif not isinstance(one, np.generic | np.dtype):
            raise RefusedError("holds a function in place of data")
        if size > most:
            raise RefusedError("grows far beyond its size, as it repeats its containers")
    known[id(value)] = size
    return size


def _known(size: int | None) -> int:
    if size is None:
        raise RefusedError("holds a container that holds itself")
    return size


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    """Keys or places, and values, of a container."""
    if type(value) is not dict:
        return enumerate(value)
    if not _KEYS.issuperset(map(type, value)):
        for key in value:
            if type(key) not in _KEYS and not isinstance(key, np.integer | np.str_):
                raise RefusedError("holds a dict whose keys are neither text nor whole numbers")
    return value.items()


def _put(container: Any, key: Any, pending: Pending) -> Any:
    """Puts what came of an array in its place; a tuple has none, and raises TypeError."""
    if pending.value is None:
        raise RefusedError("holds an array that is never filled")
    container[key] = pending.value
    return pending.value
