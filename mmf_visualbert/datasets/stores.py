"""The feature stores of a split, and whether they hold the features that the configuration expects."""

from collections.abc import Mapping
from typing import Any

from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore


def configured_store(config: Mapping[str, Any], split: str) -> FeatureStore:
    """The stores of one split, searched in their order, after a look at what they say about themselves.

    Args:
        config: `dataset_config.<name>`: `features.<split>`, the stores; `features_from`, what they have to state: the
            detector's name, or fields of `StoreInfo` such as {detector: pythia_x152, layer: fc6}; null for anything.
        split: "train", "val" or "test".

    Raises:
        InputError: where the split is left out, a store is missing, two stores are of different detectors, or one is
            not of the detector that is expected.
    """
    store = FeatureStore(configured_paths(config, "features", split))
    _ = store.info  # refuses stores of different detectors
    expected = config.get("features_from")
    if expected is not None:
        store.require(**_fields(expected))
    return store


def _fields(expected: Any) -> dict[str, Any]:
    if isinstance(expected, str) and expected:
        return {"detector": expected}
    if isinstance(expected, Mapping) and expected and all(isinstance(name, str) for name in expected):
        return dict(expected)
    raise InputError(
        f"features_from is {expected!r}; set it to a detector's name, to what its stores state, such as "
        "{detector: pythia_x152, layer: fc6}, or to null"
    )
