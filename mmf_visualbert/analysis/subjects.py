"""The model and the data that an analysis is about, and whether they belong together."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf.errors import OmegaConfBaseException

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.modules.visual_bert import VisualBertEncoder
from mmf_visualbert.runs import load_checkpoint, plain, read_config, read_flickr30k, read_visual_bert
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k
from mmf_visualbert.yaml_config import container, merge


class Subject(NamedTuple):
    """A pre-trained model, on the device there is, and a split of Flickr30K Entities."""

    visual_bert: VisualBertEncoder
    dataset: Flickr30k


def read_subject(checkpoint: Path, config: Path, split: str, overrides: Sequence[str] = ()) -> Subject:
    """Reads both, and refuses a model that was trained on regions of another detector than the data's.

    Raises:
        InputError: for what cannot be read, or does not belong together.
    """
    settings = read_config(config, overrides)
    visual_bert = read_visual_bert(checkpoint, plain(settings, "model_config.visualbert"))
    visual_bert.to("cuda" if torch.cuda.is_available() else "cpu")
    dataset = read_flickr30k(settings, split)
    require_same_detector(checkpoint, dataset.regions.store)
    return Subject(visual_bert, dataset)


def require_same_detector(checkpoint: Path, store: FeatureStore) -> None:
    """Compares what the data's store states with what the stores of the model's training state.

    A run of which the stores are gone, or stores that state nothing, cannot be compared, and pass.

    Raises:
        InputError: where they state two detectors.
    """
    trained = detector_of(load_checkpoint(checkpoint).get("config") or {})
    info = store.info
    stated = None if info is None else info.detector
    if trained is not None and stated is not None and trained != stated:
        raise InputError(
            f"{checkpoint} was trained on regions of the detector {trained}, and {', '.join(store.paths)} has regions "
            f"of {stated}, which mean nothing to it; name features of {trained}"
        )


def detector_of(config: Mapping[str, Any]) -> str | None:
    """The detector whose regions a run was trained on, as its config or its stores say; None where neither does."""
    try:
        whole = merge(dict(config))
        section = container(whole.dataset_config[str(whole.datasets).split(",")[0].strip()])
    except (AttributeError, KeyError, TypeError, OmegaConfBaseException):
        return None
    expected = section.get("features_from")
    if isinstance(expected, str):
        return expected
    if isinstance(expected, Mapping) and "detector" in expected:
        return str(expected["detector"])
    features = section.get("features") or {}
    names = features.get("train") or [] if isinstance(features, Mapping) else []
    paths = [Path(section.get("data_dir") or ".") / name for name in ([names] if isinstance(names, str) else names)]
    if not paths or not all(path.exists() for path in paths):
        return None
    info = FeatureStore(paths).info
    return None if info is None else info.detector
