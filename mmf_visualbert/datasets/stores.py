"""The feature stores of a split, and whether they hold the features that the configuration expects."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from mmf_visualbert.datasets.paths import Files, configured_paths
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore


class StoreSettings(Protocol):
    """What a dataset's settings say about its feature stores.

    Attributes:
        data_dir: relative paths are below it.
        features: the stores of each split.
        features_from: what they have to state: the detector's name, or fields of `StoreInfo` such as
            {detector: pythia_x152, layer: fc6}; None for anything.
    """

    @property
    def data_dir(self) -> Path: ...
    @property
    def features(self) -> Files: ...
    @property
    def features_from(self) -> Any: ...


def configured_store(settings: StoreSettings, split: str) -> FeatureStore:
    """The stores of one split, searched in their order, after a look at what they say about themselves.

    Args:
        settings: of the dataset.
        split: "train", "val" or "test".

    Raises:
        InputError: where the split is left out, a store is missing, two stores are of different detectors, or one is
            not of the detector that is expected.
    """
    paths = configured_paths(settings.data_dir, settings.features, "features", split)
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise InputError(
            f"there is no feature store {missing}, which `features.{split}` names; extract, convert or download it, or "
            "correct the path"
        )
    store = FeatureStore(paths)
    _ = store.info  # refuses stores of different detectors
    if settings.features_from is not None:
        store.require(**_fields(settings.features_from))
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
